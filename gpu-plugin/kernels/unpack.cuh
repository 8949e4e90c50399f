// Eight consecutive values of a stored row as four pairs of 16-bit numbers for tensor cores: halves of F16, bf16 of all others. Quantised ones come in two steps, so that a product can ask for the
// bytes of a later step of k before it multiplies.
#pragma once
#include "formats.cuh"
#include "tensor.cuh"

template <class Value>
DEVICE uint4 pairsBf16(Value value) {
  return {pairBf16(value(0), value(1)), pairBf16(value(2), value(3)), pairBf16(value(4), value(5)), pairBf16(value(6), value(7))};
}

/** Field `field` of the block of value i. */
template <class F>
DEVICE const uint8_t* fieldOf(const uint8_t* row, int field, int i, int cols) {
  return fieldAt<F>(row, field, i / F::VALUES, cols / F::VALUES);
}

DEVICE uint2 load8(const uint8_t* p) { return *reinterpret_cast<const uint2*>(p); }

/** Byte j of eight. */
DEVICE int byteOf8(const uint2& bytes, int j) { return ((j < 4 ? bytes.x : bytes.y) >> (8 * (j % 4))) & 255; }

/** Values i … i + 7 as they are stored; i is a multiple of 8. Formats without words of their own are read when they are asked for. */
template <class F>
struct Packed8 {
  const uint8_t* row;
  int cols, i;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) { return {row, cols, i}; }
  __device__ uint4 pairs() const {
    uint4 all = {0, 0, 0, 0};
#pragma unroll 1  // a product has no registers for eight at once
    for (int at = i; at < i + 8; at += 2) all = {all.y, all.z, all.w, pairBf16(valueOf<F>(row, at, cols), valueOf<F>(row, at + 1, cols))};
    return all;
  }
};

template <>
struct Packed8<Q8_0> {
  uint2 q;
  uint16_t d;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    return {load8(fieldOf<Q8_0>(row, 1, i, cols) + (i & 31)), load16(fieldOf<Q8_0>(row, 0, i, cols))};
  }
  __device__ uint4 pairs() const {
    const float scale = halfToFloat(d);
    return pairsBf16([&](int j) { return scale * static_cast<int8_t>(byteOf8(q, j)); });
  }
};

template <>
struct Packed8<Q4_0> {
  uint2 q;
  uint16_t d;
  int shift;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    return {load8(fieldOf<Q4_0>(row, 1, i, cols) + (i & 15)), load16(fieldOf<Q4_0>(row, 0, i, cols)), i & 16 ? 4 : 0};
  }
  __device__ uint4 pairs() const {
    const float scale = halfToFloat(d);
    return pairsBf16([&](int j) { return scale * (((byteOf8(q, j) >> shift) & 15) - 8); });
  }
};

/** Of Q4_K and Q5_K. */
struct PackedK {
  /** The block's d, dmin, scales and mins. */
  uint4 head;
  /** Two nibbles a byte, and a fifth bit for each, bit j of a byte. */
  uint2 low, fifths;
  int j;
  DEVICE PackedK load(const uint8_t* head, const uint8_t* lows, int i) {
    const int j = (i & 255) >> 5;
    return {*reinterpret_cast<const uint4*>(head), load8(lows + 32 * (j >> 1) + (i & 31)), {0, 0}, j};
  }
  __device__ uint4 pairs() const {
    // scale6 of formats.cuh, on words
    const int shift = 8 * (j & 3);
    const uint32_t first = (head.y >> shift) & 255, second = (head.z >> shift) & 255, third = (head.w >> shift) & 255;
    const uint32_t scale = j < 4 ? first & 63 : (third & 15) | (first >> 6) << 4;
    const uint32_t min = j < 4 ? second & 63 : third >> 4 | (second >> 6) << 4;
    const float d = halfToFloat(static_cast<uint16_t>(head.x)) * static_cast<int>(scale);
    const float less = halfToFloat(static_cast<uint16_t>(head.x >> 16)) * static_cast<int>(min);
    return pairsBf16([&](int k) {
      const int q = (byteOf8(low, k) >> (4 * (j & 1))) & 15, fifth = (byteOf8(fifths, k) >> j) & 1;
      return d * (q | fifth << 4) - less;
    });
  }
};

template <>
struct Packed8<Q4_K> : PackedK {
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    return {PackedK::load(fieldOf<Q4_K>(row, 0, i, cols), fieldOf<Q4_K>(row, 1, i, cols), i)};
  }
};

template <>
struct Packed8<Q5_K> : PackedK {
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    Packed8 packed = {PackedK::load(fieldOf<Q5_K>(row, 0, i, cols), fieldOf<Q5_K>(row, 2, i, cols), i)};
    packed.fifths = load8(fieldOf<Q5_K>(row, 1, i, cols) + (i & 31));
    return packed;
  }
};

template <>
struct Packed8<Q6_K> {
  uint2 low, high;
  uint16_t d;
  int8_t scale;
  int lowShift, highShift;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    const int at = i & 255;
    const uint8_t* lows = fieldOf<Q6_K>(row, 0, i, cols) + 64 * (at >> 7) + (at & 63);
    const uint8_t* highs = fieldOf<Q6_K>(row, 1, i, cols) + 32 * (at >> 7) + (at & 31);
    const auto scale = static_cast<int8_t>(fieldOf<Q6_K>(row, 2, i, cols)[at >> 4]);
    return {load8(lows), load8(highs), load16(fieldOf<Q6_K>(row, 3, i, cols)), scale, 4 * ((at >> 6) & 1), 2 * ((at >> 5) & 3)};
  }
  __device__ uint4 pairs() const {
    const float factor = halfToFloat(d) * scale;
    return pairsBf16([&](int j) {
      const int q = ((byteOf8(low, j) >> lowShift) & 15) | ((byteOf8(high, j) >> highShift) & 3) << 4;
      return factor * (q - 32);
    });
  }
};

/** Values i … i + 7 of a row, zeros beyond its end; i is a multiple of 8. */
template <class F>
DEVICE uint4 unpack8(F, const uint8_t* row, int cols, int i) {
  return Packed8<F>::load(row, cols, i).pairs();
}
DEVICE uint4 unpack8(BF16, const uint8_t* row, int cols, int i) {
  return pairsBf16([&](int j) { return i + j < cols ? BF16::value(row, i + j) : 0; });
}
DEVICE uint4 unpack8(F16, const uint8_t* row, int cols, int i) {
  const auto value = [&](int j) { return i + j < cols ? F16::value(row, i + j) : 0; };
  return {pairHalf(value(0), value(1)), pairHalf(value(2), value(3)), pairHalf(value(4), value(5)), pairHalf(value(6), value(7))};
}
DEVICE uint4 unpack8(F32, const uint8_t* row, int cols, int i) {
  if (cols % 4 != 0 || reinterpret_cast<uintptr_t>(row) % sizeof(float4) != 0)
    return pairsBf16([&](int j) { return i + j < cols ? F32::value(row, i + j) : 0; });
  const float4* from = reinterpret_cast<const float4*>(row) + i / 4;
  const float4 a = from[0], b = i + 4 < cols ? from[1] : float4{0, 0, 0, 0};
  return {pairBf16(a.x, a.y), pairBf16(a.z, a.w), pairBf16(b.x, b.y), pairBf16(b.z, b.w)};
}
