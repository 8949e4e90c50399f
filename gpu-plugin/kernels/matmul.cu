#include "tile.cuh"

/**
 * out = x · wᵀ for many tokens, in f32 throughout;  x (n, cols), w (rows, cols), out (n, rows). A block of ACROSS² threads has a
 * tile: gridX rows, gridY tokens. Sums run over k in order.
 */
KERNEL __launch_bounds__(ACROSS* ACROSS) matmul_f32(float* out, const float* x, const float* w, int n, int rows, int cols) {
  SHARED(float, tokens, STEP * (TILE + 1));
  SHARED(float, weights, STEP * (TILE + 1));
  const int firstRow = blockIdx.x * TILE, firstToken = blockIdx.y * TILE;
  float sums[OWN][OWN] = {};
  for (int from = 0; from < cols; from += STEP) {
    for (int i = threadIdx.x; i < TILE * STEP; i += blockDim.x) {
      const int k = from + i % STEP, t = firstToken + i / STEP, r = firstRow + i / STEP;
      const int at = (i % STEP) * (TILE + 1) + i / STEP;
      tokens[at] = t < n && k < cols ? x[static_cast<size_t>(t) * cols + k] : 0;
      weights[at] = r < rows && k < cols ? w[static_cast<size_t>(r) * cols + k] : 0;
    }
    __syncthreads();
    addProducts(sums, tokens, weights);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < OWN; i++) {
    const int t = firstToken + downOf(i);
#pragma unroll
    for (int j = 0; j < OWN; j++) {
      const int r = firstRow + acrossOf(j);
      if (t < n && r < rows) out[static_cast<size_t>(t) * rows + r] = sums[i][j];
    }
  }
}
REGISTER_KERNEL(matmul_f32);
