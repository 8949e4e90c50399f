#include "formats.cuh"

// Numbers as a kv cache stores them (host/reference-formats.ts, cacheRows): a number beyond the largest half becomes the
// largest half, one that is not finite NaN.

DEVICE uint16_t cacheHalf(float x) {
  if (!(fabsf(x) < INFINITY)) return 0x7e00;
  return floatToHalf(fminf(65504.0f, fmaxf(-65504.0f, x)));
}

DEVICE void put16(uint8_t* p, uint16_t value) { *reinterpret_cast<uint16_t*>(p) = value; }

DEVICE void putBlock(F32, uint8_t* out, const float* x) { *reinterpret_cast<float*>(out) = *x; }

DEVICE void putBlock(F16, uint8_t* out, const float* x) { put16(out, cacheHalf(*x)); }

/** { f16 d; i8 q[32] } with d = max|x| / 127 and q = x · (1 / d), ties away from zero. */
DEVICE void putBlock(Q8_0, uint8_t* out, const float* x) {
  uint32_t largestBits = 0;  // as integers, so that a NaN is the largest
  for (int i = 0; i < 32; i++) largestBits = max(largestBits, bitsOf(x[i]) & 0x7fffffff);
  const float largest = fromBits(largestBits), d = largest / 127;
  const float inverse = largest > 1e-30f ? 1 / d : 0;
  put16(out, cacheHalf(d));
  for (int i = 0; i < 32; i++) {
    const float scaled = product(x[i], inverse);
    const float q = copysignf(floorf(fabsf(scaled) + 0.5f), scaled);
    out[2 + i] = static_cast<uint8_t>(q == q ? static_cast<int>(q) : 0);
  }
}

/** cache[slots[t]][h][positions[t]] = x[t][h];  x (n, kvHeads, headDim). A thread has a block of values; gridY tokens. */
template <class F>
DEVICE void append(uint8_t* cache, const float* x, const int* slots, const int* positions, int kvHeads, int headDim, int capacity) {
  const int blocks = headDim / F::VALUES;
  const int at = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
  if (at >= kvHeads * blocks) return;
  const int h = at / blocks, b = at % blocks;
  const size_t row = (static_cast<size_t>(slots[t]) * kvHeads + h) * capacity + positions[t];
  const float* from = x + (static_cast<size_t>(t) * kvHeads + h) * headDim + b * F::VALUES;
  putBlock(F(), cache + row * rowBytes<F>(headDim) + b * F::BYTES, from);
}

#define APPEND(dtype, Format) \
  KERNEL append_##dtype(uint8_t* cache, const float* x, const int* slots, const int* positions, int kvHeads, int headDim, \
                        int capacity) { \
    append<Format>(cache, x, slots, positions, kvHeads, headDim, capacity); \
  } \
  REGISTER_KERNEL(append_##dtype);
FOR_EACH_CACHE_FORMAT(APPEND)
