#include "unpack.cuh"

/**
 * out (rows, cols, rounded up to 8) = stored rows (rows, cols) as 16-bit numbers, with zeros to the end: bf16, halves of F16. A thread has
 * eight; gridX rows.
 */
template <class F>
DEVICE void narrow(uint4* out, const uint8_t* stored, int cols) {
  const int at = blockIdx.y * blockDim.x + threadIdx.x, pieces = (cols + 7) / 8;
  const size_t row = blockIdx.x;
  if (at < pieces) out[row * pieces + at] = unpack8(F(), stored + row * rowBytes<F>(cols), cols, 8 * at);
}

#define NARROW(dtype, Format) \
  KERNEL narrow_##dtype(uint4* out, const uint8_t* stored, int cols) { narrow<Format>(out, stored, cols); } \
  REGISTER_KERNEL(narrow_##dtype);
FOR_EACH_FORMAT(NARROW)

/**
 * out (n, cols, rounded up to 8) = x[i] / scales[i] as halves, with zeros to the end;  x (n, cols), scales (n). The scale is the power of two
 * that brings the largest of a row to 2^14 … 2^15, so that none overflows, and numbers below 2^-28 of it are all that lose more than
 * half a unit of eleven bits. What is not finite stays so. A warp has a row.
 */
KERNEL narrow_scaled(uint16_t* out, float* scales, const float* x, int n, int cols) {
  const int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), lane = threadIdx.x & 31, pitch = (cols + 7) & ~7;
  if (row >= n) return;
  x += static_cast<size_t>(row) * cols;
  out += static_cast<size_t>(row) * pitch;
  uint32_t bits = 0;  // as integers, so that a NaN is the largest
  for (int i = lane; i < cols; i += 32) bits = max(bits, bitsOf(x[i]) & 0x7fffffff);
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) bits = max(bits, __shfl_xor_sync(ALL_LANES, bits, by));
  const uint32_t exponent = max(bits >> 23, 15u);
  const float scale = fromBits((exponent - 14) << 23), inverse = fromBits((268 - exponent) << 23);
  for (int i = lane; i < pitch; i += 32) out[i] = i < cols ? floatToHalf(x[i] * inverse) : 0;
  if (lane == 0) scales[row] = scale;
}
REGISTER_KERNEL(narrow_scaled);
