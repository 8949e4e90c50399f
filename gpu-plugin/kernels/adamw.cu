#include "reduce.cuh"

/**
 * A step of AdamW (Loshchilov and Hutter 2019) with g = scale · gradient: m ← β1 · m + rest1 · g; v ← β2 · v + rest2 · g²;
 * w ← w · keep − rate · m / (√(v / unbias2) + eps);  w, m, v, gradient (count), rate the learning rate / (1 − β1^step),
 * unbias2 = 1 − β2^step, rest = 1 − β, keep = 1 − learning rate · decay
 */
KERNEL adamw(float* w, float* m, float* v, const float* gradient, int count, float scale, float beta1, float rest1, float beta2,
             float rest2, float rate, float unbias2, float eps, float keep) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const float g = scale * gradient[i];
  m[i] = beta1 * m[i] + rest1 * g;
  v[i] = beta2 * v[i] + rest2 * g * g;
  w[i] = w[i] * keep - rate * m[i] / (sqrtf(v[i] / unbias2) + eps);
}
REGISTER_KERNEL(adamw);

/** parts[block] = a block's share of Σ x²;  x (count), parts (gridX) */
KERNEL sum_squares(double* parts, const float* x, int count) {
  double sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) sum += static_cast<double>(x[i]) * x[i];
  sum = blockSum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
REGISTER_KERNEL(sum_squares);

/** out[0] = Σ parts, by one block;  parts (count) */
KERNEL sum_parts(float* out, const double* parts, int count) {
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
  sum = blockSum(sum);
  if (threadIdx.x == 0) out[0] = static_cast<float>(sum);
}
REGISTER_KERNEL(sum_parts);

/** x = 0;  x (count) */
KERNEL zero(float* x, long long count) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) x[i] = 0;
}
REGISTER_KERNEL(zero);
