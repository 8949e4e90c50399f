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
