#include "reduce.cuh"

/** out[i] = x[i] · weight / √(mean(x[i]²) + eps);  x, out (n, dim), weight (dim). A block has a row. */
KERNEL rmsnorm(float* out, const float* x, const float* weight, int dim, float eps) {
  const size_t row = static_cast<size_t>(blockIdx.x) * dim;
  float sum = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) sum += x[row + i] * x[row + i];
  const float scale = 1 / sqrtf(blockSum(sum) / dim + eps);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) out[row + i] = x[row + i] * scale * weight[i];
}
REGISTER_KERNEL(rmsnorm);

/**
 * dX[i] += r · dOut[i] · weight − x[i] · r³ · mean(dOut[i] · weight · x[i]) with r = 1 / √(mean(x[i]²) + eps), which is kept;
 * dX, dOut, x (n, dim), weight (dim), scales (n). A block has a row.
 */
KERNEL rmsnorm_backward(float* dX, float* scales, const float* dOut, const float* x, const float* weight, int dim, float eps) {
  const size_t row = static_cast<size_t>(blockIdx.x) * dim;
  float squares = 0, products = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    squares += x[row + i] * x[row + i];
    products += dOut[row + i] * weight[i] * x[row + i];
  }
  const float r = 1 / sqrtf(blockSum(squares) / dim + eps);
  const float shrink = r * r * r * (blockSum(products) / dim);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) dX[row + i] += r * dOut[row + i] * weight[i] - x[row + i] * shrink;
  if (threadIdx.x == 0) scales[blockIdx.x] = r;
}
REGISTER_KERNEL(rmsnorm_backward);

/** dWeight += Σᵢ dOut[i] · x[i] · scales[i];  dWeight (dim). A block has 32 columns, its warps share the rows out. */
KERNEL rmsnorm_backward_w(float* dWeight, const float* dOut, const float* x, const float* scales, int n, int dim) {
  SHARED(float, parts, 1024);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int column = blockIdx.x * 32 + lane;
  float sum = 0;
  for (int i = warp; i < n && column < dim; i += warps) {
    const size_t at = static_cast<size_t>(i) * dim + column;
    sum += dOut[at] * x[at] * scales[i];
  }
  parts[warp * 32 + lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= dim) return;
  for (int i = 1; i < warps; i++) sum += parts[i * 32 + lane];
  dWeight[column] += sum;
}
REGISTER_KERNEL(rmsnorm_backward_w);
