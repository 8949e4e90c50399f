#include "portable.cuh"

/** out[i] = x[rows[i]];  x (any, dim), out (n, dim). gridY rows. */
KERNEL take_rows(float* out, const float* x, const int* rows, int dim) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
  if (i < dim) out[static_cast<size_t>(row) * dim + i] = x[static_cast<size_t>(rows[row]) * dim + i];
}
REGISTER_KERNEL(take_rows);
