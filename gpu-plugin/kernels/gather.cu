#include "portable.cuh"

/**
 * out[t][first … first + count − 1] = part[t], and zeros elsewhere, which the other ranks' parts are added to;  out (n, width),
 * part (n, count). gridY tokens.
 */
KERNEL spread(float* out, const float* part, int width, int first, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y, j = i - first;
  if (i < width) out[static_cast<size_t>(t) * width + i] = j >= 0 && j < count ? part[static_cast<size_t>(t) * count + j] : 0;
}
REGISTER_KERNEL(spread);
