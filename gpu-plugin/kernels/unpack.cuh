// Eight consecutive values of a stored row as four pairs of 16-bit numbers for tensor cores: halves of F16, bf16 of all others. Beside
// formats.cuh the one place that knows how a row lies in memory. Quantised ones come in two steps, so that a product can ask for the
// bytes of a later step of k before it multiplies.
#pragma once
#include "formats.cuh"
#include "tensor.cuh"

template <class Value>
DEVICE uint4 pairsBf16(Value value) {
  return {pairBf16(value(0), value(1)), pairBf16(value(2), value(3)), pairBf16(value(4), value(5)), pairBf16(value(6), value(7))};
}

/** Values i … i + 7 as they are stored; i is a multiple of 8. Formats without words of their own are read when they are asked for. */
template <class F>
struct Packed8 {
  const uint8_t* row;
  int cols, i;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) { return {row, cols, i}; }
  __device__ uint4 pairs() const {
    uint4 all = {0, 0, 0, 0};
#pragma unroll 1  // a product has no registers for eight at once
    for (int at = i; at < i + 8; at += 2) all = {all.y, all.z, all.w, pairBf16(valueOf(F(), row, at, cols), valueOf(F(), row, at + 1, cols))};
    return all;
  }
};

template <>
struct Packed8<Planar<Q8_0>> {
  uint2 q;
  uint16_t d;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    return {*reinterpret_cast<const uint2*>(row + i), load16(row + cols + 2 * (i / 32))};
  }
  __device__ uint4 pairs() const {
    const float scale = halfToFloat(d);
    return pairsBf16([&](int j) { return scale * static_cast<int8_t>((j < 4 ? q.x : q.y) >> (8 * (j % 4))); });
  }
};

template <>
struct Packed8<Planar<Q4_0>> {
  uint2 q;
  uint16_t d;
  int shift;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    const int b = i / 32;
    return {*reinterpret_cast<const uint2*>(row + 16 * b + (i & 15)), load16(row + cols / 2 + 2 * b), i & 16 ? 4 : 0};
  }
  __device__ uint4 pairs() const {
    const float scale = halfToFloat(d);
    return pairsBf16([&](int j) { return scale * (static_cast<int>(((j < 4 ? q.x : q.y) >> (8 * (j % 4) + shift)) & 15) - 8); });
  }
};

/** Of Q4_K and Q5_K, whose blocks, and rows of them, begin at multiples of 16 bytes. */
struct PackedK {
  /** The block's d, dmin, scales and mins. */
  uint4 head;
  /** Two nibbles a byte, and a fifth bit for each, bit j of a byte. */
  uint2 low, fifths;
  int j;
  DEVICE PackedK load(const uint8_t* block, int i, int lowsAt) {
    const int j = (i & 255) >> 5;
    const uint8_t* lows = block + lowsAt + 32 * (j >> 1) + (i & 31);
    return {*reinterpret_cast<const uint4*>(block), *reinterpret_cast<const uint2*>(lows), {0, 0}, j};
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
      const int at = 8 * (k % 4);
      const uint32_t q = ((k < 4 ? low.x : low.y) >> (at + 4 * (j & 1))) & 15, fifth = ((k < 4 ? fifths.x : fifths.y) >> (at + j)) & 1;
      return d * static_cast<int>(q | fifth << 4) - less;
    });
  }
};

template <>
struct Packed8<Q4_K> : PackedK {
  DEVICE Packed8 load(const uint8_t* row, int, int i) { return {PackedK::load(blockAt<Q4_K>(row, i), i, 16)}; }
};

template <>
struct Packed8<Q5_K> : PackedK {
  DEVICE Packed8 load(const uint8_t* row, int, int i) {
    const uint8_t* block = blockAt<Q5_K>(row, i);
    Packed8 packed = {PackedK::load(block, i, 48)};
    packed.fifths = *reinterpret_cast<const uint2*>(block + 16 + (i & 31));
    return packed;
  }
};

template <>
struct Packed8<Planar<Q6_K>> {
  uint2 low, high;
  uint16_t d;
  int8_t scale;
  int i;
  DEVICE Packed8 load(const uint8_t* row, int cols, int i) {
    const int b = i / 256, blocks = cols / 256;
    i &= 255;
    const uint8_t* lows = row + 128 * b + 64 * (i >> 7) + (i & 63);
    const uint8_t* highs = row + 128 * blocks + 64 * b + 32 * (i >> 7) + (i & 31);
    return {*reinterpret_cast<const uint2*>(lows), *reinterpret_cast<const uint2*>(highs), load16(row + 208 * blocks + 2 * b),
            static_cast<int8_t>(row[192 * blocks + 16 * b + (i >> 4)]), i};
  }
  __device__ uint4 pairs() const {
    const float factor = halfToFloat(d) * scale;
    const int lowShift = 4 * ((i >> 6) & 1), highShift = 2 * ((i >> 5) & 3);
    return pairsBf16([&](int j) {
      const int at = 8 * (j % 4);
      const uint32_t lows = j < 4 ? low.x : low.y, highs = j < 4 ? high.x : high.y;
      const uint32_t q = ((lows >> (at + lowShift)) & 15) | ((highs >> (at + highShift)) & 3) << 4;
      return factor * (static_cast<int>(q) - 32);
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
