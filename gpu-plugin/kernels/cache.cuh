// Numbers as a kv cache stores them (host/reference-formats.ts, cacheRows): a number beyond the largest half becomes the
// largest half, one that is not finite NaN.
#pragma once
#include "formats.cuh"

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

/** A cache of keys or values: (slots, kvHeads, capacity) rows of headDim numbers. */
struct CacheShape {
  int kvHeads, headDim, capacity;
};

/** The place of block b of head h of token t. */
template <class F>
DEVICE uint8_t* cacheBlock(uint8_t* cache, const CacheShape& shape, int slot, int h, int position, int b) {
  const size_t row = (static_cast<size_t>(slot) * shape.kvHeads + h) * shape.capacity + position;
  return cache + row * storedBytes<F>(shape.headDim) + b * F::BYTES;
}
