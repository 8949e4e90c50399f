#include "formats.cuh"

/** to = the rows of from, blocks as files have them, in planes;  both (rows, cols). gridX rows; a thread has two bytes at a time. */
template <class F>
DEVICE void planes(uint8_t* to, const uint8_t* from, int cols) {
  const int blocks = cols / F::VALUES;
  from += blockIdx.x * storedBytes<F>(cols);
  to += blockIdx.x * rowBytes<F>(cols);
#pragma unroll
  for (int f = 0; f < F::FIELDS; f++) {
    int before = 0;
    for (int other = 0; other < f; other++) before += F::size(other);
    const int halves = F::size(f) / 2, plane = static_cast<int>(planeAt<F>(f + 1, blocks) - planeAt<F>(f, blocks)) / 2;
    auto* at = reinterpret_cast<uint16_t*>(to + planeAt<F>(f, blocks));
    for (int i = threadIdx.x; i < plane; i += blockDim.x) {
      const int b = i / halves;
      at[i] = b < blocks ? load16(from + static_cast<size_t>(b) * F::BYTES + before + 2 * (i % halves)) : 0;
    }
  }
}

#define PLANES(dtype, Format) \
  KERNEL planes_##dtype(uint8_t* to, const uint8_t* from, int cols) { planes<Format>(to, from, cols); } \
  REGISTER_KERNEL(planes_##dtype);
FOR_EACH_QUANTISED(PLANES)
