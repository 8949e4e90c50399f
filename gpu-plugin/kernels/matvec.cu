#include "formats.cuh"
#include "reduce.cuh"

/** Tokens that share a row of weights once it is unpacked. */
constexpr int TOKENS = 4;

/**
 * out = x · wᵀ for few tokens;  x (n, cols), w (rows, cols), out (n, rows). A warp has a row of w and, by gridY, TOKENS
 * tokens; its lanes take neighbouring values, so that a warp reads its row in one stream.
 */
template <class F>
DEVICE void matvec(float* out, const float* x, const uint8_t* w, int n, int rows, int cols) {
  const int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), lane = threadIdx.x & 31;
  const int first = blockIdx.y * TOKENS, count = min(TOKENS, n - first);
  if (row >= rows) return;
  const uint8_t* values = w + row * rowBytes<F>(cols);
  x += static_cast<size_t>(first) * cols;
  float sums[TOKENS] = {};
  for (int i = lane; i < cols; i += 32) {
    const float value = F::value(values, i);
#pragma unroll
    for (int t = 0; t < TOKENS; t++)
      if (t < count) sums[t] += value * x[static_cast<size_t>(t) * cols + i];
  }
#pragma unroll
  for (int t = 0; t < TOKENS; t++) {
    const float sum = warpSum(sums[t]);
    if (lane == 0 && t < count) out[static_cast<size_t>(first + t) * rows + row] = sum;
  }
}

#define MATVEC(dtype, Format) \
  KERNEL matvec_##dtype(float* out, const float* x, const uint8_t* w, int n, int rows, int cols) { \
    matvec<Format>(out, x, w, n, rows, cols); \
  } \
  REGISTER_KERNEL(matvec_##dtype);
FOR_EACH_FORMAT(MATVEC)
