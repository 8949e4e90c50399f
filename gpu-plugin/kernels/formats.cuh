// The number formats of stored rows (host/dtype.ts): each says how many values and bytes a block has, and gives value i of one,
// unpacked in registers. Layouts and formulas are those of ggml-common.h and ggml-quants.c. Every product is exact in
// f32, so that a fused multiply-add rounds where a product and a difference would.
#pragma once
#include "portable.cuh"

struct F32 {
  static constexpr int VALUES = 1, BYTES = 4;
  DEVICE float value(const uint8_t* row, int i) { return reinterpret_cast<const float*>(row)[i]; }
};

struct F16 {
  static constexpr int VALUES = 1, BYTES = 2;
  DEVICE float value(const uint8_t* row, int i) { return loadHalf(row + 2 * static_cast<size_t>(i)); }
};

struct BF16 {
  static constexpr int VALUES = 1, BYTES = 2;
  DEVICE float value(const uint8_t* row, int i) {
    return fromBits(static_cast<uint32_t>(load16(row + 2 * static_cast<size_t>(i))) << 16);
  }
};

/** The fields of a block in the order of files, by their bytes. Value i of a block comes from pointers to its fields. */
template <int... SIZES>
struct Fields {
  static constexpr int FIELDS = sizeof...(SIZES), BYTES = (SIZES + ...);
  DEVICE int size(int field) {
    // an array would be in memory
    int size = 0, at = 0;
    ((size = at++ == field ? SIZES : size), ...);
    return size;
  }
};
using Pointers = const uint8_t* const*;

/** Value i of 32 has the low nibble of byte i, or the high one of byte i − 16. */
DEVICE int nibble32(const uint8_t* q, int i) { return (q[i & 15] >> (i & 16 ? 4 : 0)) & 15; }

// { f16 d; i8 q[32] }
struct Q8_0 : Fields<2, 32> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) { return loadHalf(f[0]) * static_cast<int8_t>(f[1][i]); }
};

// { f32 d; i8 q[32] }
struct Q8_F32 : Fields<4, 32> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) { return fromBits(load32(f[0])) * static_cast<int8_t>(f[1][i]); }
};

// { f16 d; u8 q[16] }
struct Q4_0 : Fields<2, 16> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) { return loadHalf(f[0]) * (nibble32(f[1], i) - 8); }
};

// { f16 d, m; u8 q[16] }
struct Q4_1 : Fields<4, 16> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) { return loadHalf(f[0]) * nibble32(f[1], i) + loadHalf(f[0] + 2); }
};

// { f16 d; u8 fifthBits[4]; u8 q[16] }
struct Q5_0 : Fields<2, 4, 16> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) {
    const int fifth = (load32(f[1]) >> i) & 1;
    return loadHalf(f[0]) * (nibble32(f[2], i) + 16 * fifth - 16);
  }
};

// { f16 d, m; u8 fifthBits[4]; u8 q[16] }
struct Q5_1 : Fields<4, 4, 16> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) {
    const int fifth = (load32(f[1]) >> i) & 1;
    return loadHalf(f[0]) * (nibble32(f[2], i) + 16 * fifth) + loadHalf(f[0] + 2);
  }
};

/** Two bits of value i of 256: bits 2(i/32).. of byte i % 32 of its half of 128. */
DEVICE int twoBits(const uint8_t* q, int i) { return (q[32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3; }

// { u8 scaleAndMin[16]; u8 q[64]; f16 d, dmin }
struct Q2_K : Fields<16, 64, 4> {
  static constexpr int VALUES = 256;
  DEVICE float value(Pointers f, int i) {
    const int scales = f[0][i >> 4];
    return loadHalf(f[2]) * ((scales & 15) * twoBits(f[1], i)) - loadHalf(f[2] + 2) * (scales >> 4);
  }
};

// { u8 high[32]; u8 q[64]; u8 scales[12]; f16 d }: bit i/32 of high byte i % 32 spares value i the −4; scale j is six bits,
// four in a nibble of byte j % 8 and two in byte 8 + j % 4, less 32
struct Q3_K : Fields<32, 64, 12, 2> {
  static constexpr int VALUES = 256;
  DEVICE float value(Pointers f, int i) {
    const int j = i >> 4;
    const int low = (f[2][j & 7] >> (j & 8 ? 4 : 0)) & 15;
    const int scale = (low | ((f[2][8 + (j & 3)] >> (2 * (j >> 2))) & 3) << 4) - 32;
    const int high = (f[0][i & 31] >> (i >> 5)) & 1;
    return loadHalf(f[3]) * (scale * (twoBits(f[1], i) + 4 * high - 4));
  }
};

/** Scale (or min) j of 8 of Q4_K and Q5_K: six bits, those of the upper four spread over what the lower four leave. */
DEVICE int scale6(const uint8_t* packed, int j, bool isMin) {
  if (j < 4) return packed[j + (isMin ? 4 : 0)] & 63;
  const int low = (packed[j + 4] >> (isMin ? 4 : 0)) & 15;
  return low | (packed[j - 4 + (isMin ? 4 : 0)] >> 6) << 4;
}

/** d · scale · q − dmin · min, of a head { f16 d, dmin; u8 scalesAndMins[12] } */
DEVICE float scaled6(const uint8_t* head, int j, int q) {
  return loadHalf(head) * (scale6(head + 4, j, false) * q) - loadHalf(head + 2) * scale6(head + 4, j, true);
}

// { head[16]; u8 q[128] }: 64 values to 32 bytes, low nibbles first
struct Q4_K : Fields<16, 128> {
  static constexpr int VALUES = 256;
  DEVICE float value(Pointers f, int i) {
    const int j = i >> 5;
    return scaled6(f[0], j, (f[1][32 * (j >> 1) + (i & 31)] >> (4 * (j & 1))) & 15);
  }
};

// as Q4_K with u8 fifthBits[32] before q: bit j of byte i belongs to value i of sub-block j
struct Q5_K : Fields<16, 32, 128> {
  static constexpr int VALUES = 256;
  DEVICE float value(Pointers f, int i) {
    const int j = i >> 5;
    const int low = (f[2][32 * (j >> 1) + (i & 31)] >> (4 * (j & 1))) & 15;
    return scaled6(f[0], j, low + 16 * ((f[1][i & 31] >> j) & 1));
  }
};

// { u8 low[128]; u8 high[64]; i8 scales[16]; f16 d }: in a half of 128, value i has a nibble of low byte i % 64 and bits
// 2(i/32).. of high byte i % 32
struct Q6_K : Fields<128, 64, 16, 2> {
  static constexpr int VALUES = 256;
  DEVICE float value(Pointers f, int i) {
    const int low = (f[0][64 * (i >> 7) + (i & 63)] >> (4 * ((i >> 6) & 1))) & 15;
    return loadHalf(f[3]) * (static_cast<int8_t>(f[2][i >> 4]) * ((low | twoBits(f[1], i) << 4) - 32));
  }
};

/** The 16 values of a nibble in IQ4_NL and IQ4_XS, four to a word (ggml-common.h, kvalues_iq4nl). */
DEVICE uint32_t iq4Levels(int word) {
  return word < 2 ? (word == 0 ? 0xbfad9881u : 0xf6eaddcfu) : (word == 2 ? 0x26190d01u : 0x71594535u);
}
DEVICE int iq4Level(int nibble) { return static_cast<int8_t>(iq4Levels(nibble / 4) >> (8 * (nibble & 3))); }

// { f16 d; u8 q[16] }
struct IQ4_NL : Fields<2, 16> {
  static constexpr int VALUES = 32;
  DEVICE float value(Pointers f, int i) { return loadHalf(f[0]) * iq4Level(nibble32(f[1], i)); }
};

/** Scale j of 8 of IQ4_XS, of a head { f16 d; u16 scaleHighs; u8 scaleLows[4] }. */
DEVICE int iq4Scale(uint32_t highs, uint32_t lows, int j) {
  return static_cast<int>(((lows >> (4 * j)) & 15) | ((highs >> (2 * j)) & 3) << 4) - 32;
}

// { head[8]; u8 q[8][16] }
struct IQ4_XS : Fields<8, 128> {
  static constexpr int VALUES = 256;
  DEVICE float value(Pointers f, int i) {
    const int j = i >> 5;
    const int scale = iq4Scale(load16(f[0] + 2), load32(f[0] + 4), j);
    return loadHalf(f[0]) * (scale * iq4Level(nibble32(f[1] + 16 * j, i & 31)));
  }
};

/** Bytes of `count` numbers as files and caches have them: block behind block. */
template <class F>
DEVICE size_t storedBytes(int count) {
  return static_cast<size_t>(count / F::VALUES) * F::BYTES;
}

// In a GPU's memory a row of blocks is in planes: the first fields of all blocks, then the second ones, and so on, each plane a multiple
// of 16 bytes, so that loads are whole and aligned.

/** Where plane `field` of a row begins, or the next row after the last. */
template <class F>
DEVICE size_t planeAt(int field, int blocks) {
  size_t at = 0;
#pragma unroll
  for (int f = 0; f < field; f++) at += (static_cast<size_t>(blocks) * F::size(f) + 15) / 16 * 16;
  return at;
}

/** Field `field` of block b of a row. */
template <class F>
DEVICE const uint8_t* fieldAt(const uint8_t* row, int field, int b, int blocks) {
  return row + planeAt<F>(field, blocks) + static_cast<size_t>(b) * F::size(field);
}

/** Bytes from a row to the next. */
template <class F>
DEVICE size_t rowBytes(int cols) {
  if constexpr (F::VALUES == 1) return static_cast<size_t>(cols) * F::BYTES;
  else return planeAt<F>(F::FIELDS, cols / F::VALUES);
}

/** Value i of a row of `cols`. */
template <class F>
DEVICE float valueOf(const uint8_t* row, int i, int cols) {
  if constexpr (F::VALUES == 1) return F::value(row, i);
  else {
    const uint8_t* fields[F::FIELDS];
#pragma unroll
    for (int f = 0; f < F::FIELDS; f++) fields[f] = fieldAt<F>(row, f, i / F::VALUES, cols / F::VALUES);
    return F::value(fields, i % F::VALUES);
  }
}

#define FOR_EACH_FLOAT(X) X(f32, F32) X(f16, F16) X(bf16, BF16)
#define FOR_EACH_QUANTISED(X) \
  X(q8_0, Q8_0) X(q8_f32, Q8_F32) X(q4_0, Q4_0) X(q4_1, Q4_1) X(q5_0, Q5_0) X(q5_1, Q5_1) X(q2_k, Q2_K) X(q3_k, Q3_K) X(q4_k, Q4_K) \
  X(q5_k, Q5_K) X(q6_k, Q6_K) X(iq4_nl, IQ4_NL) X(iq4_xs, IQ4_XS)
#define FOR_EACH_FORMAT(X) FOR_EACH_FLOAT(X) FOR_EACH_QUANTISED(X)

/** Caches are written number by number, and have blocks as files do. */
#define FOR_EACH_CACHE_FORMAT(X) X(f32, F32) X(f16, F16) X(q8_0, Q8_0)
