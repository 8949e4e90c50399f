#include "formats.cuh"

/** Tokens and rows of a tile of the output, and values of k that are in shared memory at once. */
constexpr int TILE = 64, STEP = 32;
/** A thread has OWN × OWN numbers of a tile, TILE / OWN apart. */
constexpr int OWN = 4, ACROSS = TILE / OWN;

/**
 * out = x · wᵀ for many tokens;  x (n, cols), w (rows, cols), out (n, rows). A block of ACROSS² threads has a tile:
 * gridX rows, gridY tokens. Weights are unpacked once for all tokens of a tile. Sums run over k in order.
 */
template <class F>
DEVICE void matmul(float* out, const float* x, const uint8_t* w, int n, int rows, int cols) {
  SHARED(float, tokens, STEP * (TILE + 1));
  SHARED(float, weights, STEP * (TILE + 1));
  const int firstRow = blockIdx.x * TILE, firstToken = blockIdx.y * TILE;
  const int a = threadIdx.x / ACROSS, b = threadIdx.x % ACROSS;
  float sums[OWN][OWN] = {};
  for (int from = 0; from < cols; from += STEP) {
    for (int i = threadIdx.x; i < TILE * STEP; i += blockDim.x) {
      const int k = from + i % STEP, t = firstToken + i / STEP, r = firstRow + i / STEP;
      const int at = (i % STEP) * (TILE + 1) + i / STEP;
      tokens[at] = t < n && k < cols ? x[static_cast<size_t>(t) * cols + k] : 0;
      weights[at] = r < rows && k < cols ? F::value(w + r * rowBytes<F>(cols), k) : 0;
    }
    __syncthreads();
    for (int k = 0; k < STEP; k++) {
      float ta[OWN], wb[OWN];
#pragma unroll
      for (int i = 0; i < OWN; i++) {
        ta[i] = tokens[k * (TILE + 1) + a + i * ACROSS];
        wb[i] = weights[k * (TILE + 1) + b + i * ACROSS];
      }
#pragma unroll
      for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < OWN; j++) sums[i][j] += ta[i] * wb[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < OWN; i++) {
    const int t = firstToken + a + i * ACROSS;
#pragma unroll
    for (int j = 0; j < OWN; j++) {
      const int r = firstRow + b + j * ACROSS;
      if (t < n && r < rows) out[static_cast<size_t>(t) * rows + r] = sums[i][j];
    }
  }
}

#define MATMUL(dtype, Format) \
  KERNEL __launch_bounds__(ACROSS * ACROSS) \
      matmul_##dtype(float* out, const float* x, const uint8_t* w, int n, int rows, int cols) { \
    matmul<Format>(out, x, w, n, rows, cols); \
  } \
  REGISTER_KERNEL(matmul_##dtype);
FOR_EACH_FORMAT(MATMUL)
