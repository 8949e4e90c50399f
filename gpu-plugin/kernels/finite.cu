#include "portable.cuh"

// Whether stored numbers are finite: a thread that meets one that is not sets flag[0] to 1.

/** count f32, each `stride` bytes behind the other */
KERNEL finite_f32(int* flag, const uint8_t* p, int count, int stride) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count && !(fabsf(fromBits(load32(p + static_cast<size_t>(i) * stride))) < INFINITY)) *flag = 1;
}
REGISTER_KERNEL(finite_f32);

/** as finite_f32, of 16-bit floats whose exponent has all its bits set in `exponent` when they are not */
KERNEL finite_16(int* flag, const uint8_t* p, int count, int stride, int exponent) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count && (load16(p + static_cast<size_t>(i) * stride) & exponent) == exponent) *flag = 1;
}
REGISTER_KERNEL(finite_16);
