#include "formats.cuh"

/** to = the rows of from, blocks as files have them, in planes;  both (rows, cols). gridX rows; a thread has two bytes at a time. */
template <class F>
DEVICE void planes(uint8_t* to, const uint8_t* from, int cols) {
  const int blocks = cols / F::VALUES;
  const size_t stored = static_cast<size_t>(blocks) * F::BYTES, stride = rowBytes<Planar<F>>(cols);
  from += blockIdx.x * stored;
  to += blockIdx.x * stride;
  for (size_t i = 2 * threadIdx.x; i < stride; i += 2 * blockDim.x) {
    const int b = static_cast<int>(i / F::BYTES), o = static_cast<int>(i % F::BYTES);
    if (i < stored) *reinterpret_cast<uint16_t*>(to + placeOf(F(), blocks, b, o)) = load16(from + i);
    else *reinterpret_cast<uint16_t*>(to + i) = 0;
  }
}

#define PLANES(dtype, Format) \
  KERNEL planes_##dtype(uint8_t* to, const uint8_t* from, int cols) { planes<Format>(to, from, cols); } \
  REGISTER_KERNEL(planes_##dtype);
FOR_EACH_PLANAR(PLANES)
