#include "tile.cuh"

/**
 * out += left · right;  out (m, n), right (depth, n), left (m, depth), or (depth, m) if it is turned. gridX tiles of n, gridY of m.
 * Sums run over depth in order.
 */
template <bool TURNED>
DEVICE void addProduct(float* out, const float* left, const float* right, int m, int n, int depth) {
  SHARED(float, down, STEP * (TILE + 1));
  SHARED(float, across, STEP * (TILE + 1));
  const int firstRow = blockIdx.y * TILE, firstCol = blockIdx.x * TILE;
  float sums[OWN][OWN] = {};
  for (int from = 0; from < depth; from += STEP) {
    for (int i = threadIdx.x; i < TILE * STEP; i += blockDim.x) {
      // neighbours read neighbours
      const int k = TURNED ? i / TILE : i % STEP, r = TURNED ? i % TILE : i / STEP;
      const size_t row = firstRow + r, at = from + k;
      const bool inside = firstRow + r < m && from + k < depth;
      down[k * (TILE + 1) + r] = inside ? left[TURNED ? at * m + row : row * depth + at] : 0;
    }
    for (int i = threadIdx.x; i < TILE * STEP; i += blockDim.x) {
      const int k = i / TILE, c = i % TILE;
      const bool inside = firstCol + c < n && from + k < depth;
      across[k * (TILE + 1) + c] = inside ? right[static_cast<size_t>(from + k) * n + firstCol + c] : 0;
    }
    __syncthreads();
    addProducts(sums, down, across);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < OWN; i++) {
    const int r = firstRow + downOf(i);
#pragma unroll
    for (int j = 0; j < OWN; j++) {
      const int c = firstCol + acrossOf(j);
      if (r < m && c < n) out[static_cast<size_t>(r) * n + c] += sums[i][j];
    }
  }
}

/** dX += dOut · w;  dX (n, cols), dOut (n, rows), w (rows, cols) */
KERNEL __launch_bounds__(ACROSS* ACROSS)
    matmul_backward_x(float* dX, const float* dOut, const float* w, int n, int rows, int cols) {
  addProduct<false>(dX, dOut, w, n, cols, rows);
}
REGISTER_KERNEL(matmul_backward_x);

/** dW += dOutᵀ · x;  dW (rows, cols), dOut (n, rows), x (n, cols) */
KERNEL __launch_bounds__(ACROSS* ACROSS)
    matmul_backward_w(float* dW, const float* dOut, const float* x, int n, int rows, int cols) {
  addProduct<true>(dW, dOut, x, rows, cols, n);
}
REGISTER_KERNEL(matmul_backward_w);
