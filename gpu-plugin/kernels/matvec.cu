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
  int from = lane;
  if constexpr (F::VALUES == 1 && F::BYTES == 2) {
    // eight values in a load of 16 bytes: rows of whole eights begin at multiples of 16
    for (int i = 8 * lane; cols % 8 == 0 && i < cols; i += 256) {
      const uint4 packed = *reinterpret_cast<const uint4*>(values + 2 * static_cast<size_t>(i));
      const auto* eight = reinterpret_cast<const uint8_t*>(&packed);
#pragma unroll
      for (int t = 0; t < TOKENS; t++) {
        if (t >= count) break;
        const float4* y = reinterpret_cast<const float4*>(x + static_cast<size_t>(t) * cols + i);
        const float4 low = y[0], high = y[1];
        sums[t] += F::value(eight, 0) * low.x + F::value(eight, 1) * low.y + F::value(eight, 2) * low.z + F::value(eight, 3) * low.w;
        sums[t] += F::value(eight, 4) * high.x + F::value(eight, 5) * high.y + F::value(eight, 6) * high.z + F::value(eight, 7) * high.w;
      }
    }
    if (cols % 8 == 0) from = cols;
  }
  for (int i = from; i < cols; i += 32) {
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
