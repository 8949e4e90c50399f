// The number formats of stored rows (host/dtype.ts): each says how many values and bytes a block has, and gives value i of
// a row, unpacked in registers. Layouts and formulas are those of ggml-common.h and ggml-quants.c. Every product is exact in
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

template <class F>
DEVICE const uint8_t* blockAt(const uint8_t* row, int i) {
  return row + static_cast<size_t>(i / F::VALUES) * F::BYTES;
}

/** Value i of 32 has the low nibble of byte i, or the high one of byte i − 16. */
DEVICE int nibble32(const uint8_t* q, int i) { return (q[i & 15] >> (i & 16 ? 4 : 0)) & 15; }

// { f16 d; i8 q[32] }
struct Q8_0 {
  static constexpr int VALUES = 32, BYTES = 34;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q8_0>(row, i);
    return loadHalf(block) * static_cast<int8_t>(block[2 + (i & 31)]);
  }
};

// { f32 d; i8 q[32] }
struct Q8_F32 {
  static constexpr int VALUES = 32, BYTES = 36;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q8_F32>(row, i);
    return fromBits(load32(block)) * static_cast<int8_t>(block[4 + (i & 31)]);
  }
};

// { f16 d; u8 q[16] }
struct Q4_0 {
  static constexpr int VALUES = 32, BYTES = 18;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q4_0>(row, i);
    return loadHalf(block) * (nibble32(block + 2, i & 31) - 8);
  }
};

// { f16 d; f16 m; u8 q[16] }
struct Q4_1 {
  static constexpr int VALUES = 32, BYTES = 20;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q4_1>(row, i);
    return loadHalf(block) * nibble32(block + 4, i & 31) + loadHalf(block + 2);
  }
};

// { f16 d; u8 fifthBits[4]; u8 q[16] }
struct Q5_0 {
  static constexpr int VALUES = 32, BYTES = 22;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q5_0>(row, i);
    const int fifth = (load32(block + 2) >> (i & 31)) & 1;
    return loadHalf(block) * (nibble32(block + 6, i & 31) + 16 * fifth - 16);
  }
};

// { f16 d; f16 m; u8 fifthBits[4]; u8 q[16] }
struct Q5_1 {
  static constexpr int VALUES = 32, BYTES = 24;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q5_1>(row, i);
    const int fifth = (load32(block + 4) >> (i & 31)) & 1;
    return loadHalf(block) * (nibble32(block + 8, i & 31) + 16 * fifth) + loadHalf(block + 2);
  }
};

/** Two bits of value i of 256: bits 2(i/32).. of byte i % 32 of its half of 128. */
DEVICE int twoBits(const uint8_t* q, int i) { return (q[32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3; }

// { u8 scaleAndMin[16]; u8 q[64]; f16 d; f16 dmin }
struct Q2_K {
  static constexpr int VALUES = 256, BYTES = 84;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q2_K>(row, i);
    i &= 255;
    const int scales = block[i >> 4];
    return loadHalf(block + 80) * ((scales & 15) * twoBits(block + 16, i)) - loadHalf(block + 82) * (scales >> 4);
  }
};

// { u8 high[32]; u8 q[64]; u8 scales[12]; f16 d }: bit i/32 of high byte i % 32 spares value i the −4; scale j is six bits,
// four in a nibble of byte j % 8 and two in byte 8 + j % 4, less 32
struct Q3_K {
  static constexpr int VALUES = 256, BYTES = 110;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q3_K>(row, i);
    i &= 255;
    const int j = i >> 4;
    const int low = (block[96 + (j & 7)] >> (j & 8 ? 4 : 0)) & 15;
    const int scale = (low | ((block[104 + (j & 3)] >> (2 * (j >> 2))) & 3) << 4) - 32;
    const int high = (block[i & 31] >> (i >> 5)) & 1;
    return loadHalf(block + 108) * (scale * (twoBits(block + 32, i) + 4 * high - 4));
  }
};

/** Scale (or min) j of 8 of Q4_K and Q5_K: six bits, those of the upper four spread over what the lower four leave. */
DEVICE int scale6(const uint8_t* packed, int j, bool isMin) {
  if (j < 4) return packed[j + (isMin ? 4 : 0)] & 63;
  const int low = (packed[j + 4] >> (isMin ? 4 : 0)) & 15;
  return low | (packed[j - 4 + (isMin ? 4 : 0)] >> 6) << 4;
}

// { f16 d; f16 dmin; u8 scalesAndMins[12]; u8 q[128] }: 64 values to 32 bytes, low nibbles first
struct Q4_K {
  static constexpr int VALUES = 256, BYTES = 144;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q4_K>(row, i);
    i &= 255;
    const int j = i >> 5;
    const int q = (block[16 + 32 * (j >> 1) + (i & 31)] >> (4 * (j & 1))) & 15;
    return loadHalf(block) * (scale6(block + 4, j, false) * q) - loadHalf(block + 2) * scale6(block + 4, j, true);
  }
};

// as Q4_K with u8 fifthBits[32] before q: bit j of byte i belongs to value i of sub-block j
struct Q5_K {
  static constexpr int VALUES = 256, BYTES = 176;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q5_K>(row, i);
    i &= 255;
    const int j = i >> 5;
    const int low = (block[48 + 32 * (j >> 1) + (i & 31)] >> (4 * (j & 1))) & 15;
    const int q = low + 16 * ((block[16 + (i & 31)] >> j) & 1);
    return loadHalf(block) * (scale6(block + 4, j, false) * q) - loadHalf(block + 2) * scale6(block + 4, j, true);
  }
};

// { u8 low[128]; u8 high[64]; i8 scales[16]; f16 d }: in a half of 128, value i has a nibble of low byte i % 64 and bits
// 2(i/32).. of high byte i % 32
struct Q6_K {
  static constexpr int VALUES = 256, BYTES = 210;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<Q6_K>(row, i);
    i &= 255;
    const int low = (block[64 * (i >> 7) + (i & 63)] >> (4 * ((i >> 6) & 1))) & 15;
    const int scale = static_cast<int8_t>(block[192 + (i >> 4)]);
    return loadHalf(block + 208) * (scale * ((low | twoBits(block + 128, i) << 4) - 32));
  }
};

/** The 16 values of a nibble in IQ4_NL and IQ4_XS, four to a word (ggml-common.h, kvalues_iq4nl). */
DEVICE int iq4Level(int nibble) {
  const uint32_t word = nibble < 8 ? (nibble < 4 ? 0xbfad9881u : 0xf6eaddcfu) : (nibble < 12 ? 0x26190d01u : 0x71594535u);
  return static_cast<int8_t>(word >> (8 * (nibble & 3)));
}

// { f16 d; u8 q[16] }
struct IQ4_NL {
  static constexpr int VALUES = 32, BYTES = 18;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<IQ4_NL>(row, i);
    return loadHalf(block) * iq4Level(nibble32(block + 2, i & 31));
  }
};

// { f16 d; u16 scaleHighs; u8 scaleLows[4]; u8 q[8][16] }
struct IQ4_XS {
  static constexpr int VALUES = 256, BYTES = 136;
  DEVICE float value(const uint8_t* row, int i) {
    const uint8_t* block = blockAt<IQ4_XS>(row, i);
    i &= 255;
    const int j = i >> 5;
    const int low = (block[4 + (j >> 1)] >> (4 * (j & 1))) & 15;
    const int scale = (low | ((load16(block + 2) >> (2 * j)) & 3) << 4) - 32;
    return loadHalf(block) * (scale * iq4Level(nibble32(block + 8 + 16 * j, i & 31)));
  }
};

/** Value i of a row of `cols`. */
template <class F>
DEVICE float valueOf(F, const uint8_t* row, int i, int) {
  return F::value(row, i);
}

template <class F>
DEVICE size_t strideOf(F, int cols) {
  return static_cast<size_t>(cols / F::VALUES) * F::BYTES;
}

/** Bytes from a row to the next. */
template <class F>
DEVICE size_t rowBytes(int cols) {
  return strideOf(F(), cols);
}

/**
 * How rows of F lie in a GPU's memory if F's blocks are not of whole 16 bytes: first all blocks' numbers, then their scales, and zeros
 * to a multiple of 16 bytes, so that loads are whole and aligned.
 */
template <class F>
struct Planar {
  static constexpr int VALUES = F::VALUES, BYTES = F::BYTES;
};

template <class F>
DEVICE size_t strideOf(Planar<F>, int cols) {
  return (static_cast<size_t>(cols / F::VALUES) * F::BYTES + 15) / 16 * 16;
}

/** Where byte `o` of block b of `blocks` is. */
DEVICE size_t placeOf(Q8_0, int blocks, int b, int o) { return o < 2 ? 32 * blocks + 2 * b + o : 32 * b + o - 2; }
DEVICE size_t placeOf(Q4_0, int blocks, int b, int o) { return o < 2 ? 16 * blocks + 2 * b + o : 16 * b + o - 2; }
DEVICE size_t placeOf(Q6_K, int blocks, int b, int o) {
  if (o < 128) return 128 * b + o;
  if (o < 192) return 128 * blocks + 64 * b + o - 128;
  return o < 208 ? 192 * blocks + 16 * b + o - 192 : 208 * blocks + 2 * b + o - 208;
}

DEVICE float valueOf(Planar<Q8_0>, const uint8_t* row, int i, int cols) {
  return loadHalf(row + cols + 2 * (i / 32)) * static_cast<int8_t>(row[i]);
}
DEVICE float valueOf(Planar<Q4_0>, const uint8_t* row, int i, int cols) {
  return loadHalf(row + cols / 2 + 2 * (i / 32)) * (nibble32(row + 16 * (i / 32), i & 31) - 8);
}
DEVICE float valueOf(Planar<Q6_K>, const uint8_t* row, int i, int cols) {
  const int b = i / 256, blocks = cols / 256;
  i &= 255;
  const int low = (row[128 * b + 64 * (i >> 7) + (i & 63)] >> (4 * ((i >> 6) & 1))) & 15;
  const int scale = static_cast<int8_t>(row[192 * blocks + 16 * b + (i >> 4)]);
  return loadHalf(row + 208 * blocks + 2 * b) * (scale * ((low | twoBits(row + 128 * blocks + 64 * b, i) << 4) - 32));
}

#define FOR_EACH_PLANAR(X) X(q8_0, Q8_0) X(q4_0, Q4_0) X(q6_k, Q6_K)

/** Floats, and formats of integers that are multiplied as such. */
#define FOR_EACH_FLOAT(X) X(f32, F32) X(f16, F16) X(bf16, BF16)
#define FOR_EACH_INTEGER(X) X(q8_0, Planar<Q8_0>) X(q4_0, Planar<Q4_0>) X(q4_k, Q4_K) X(q6_k, Planar<Q6_K>)
#define FOR_EACH_OTHER(X) \
  X(q8_f32, Q8_F32) X(q4_1, Q4_1) X(q5_0, Q5_0) X(q5_1, Q5_1) X(q2_k, Q2_K) X(q3_k, Q3_K) X(q5_k, Q5_K) X(iq4_nl, IQ4_NL) \
  X(iq4_xs, IQ4_XS)
#define FOR_EACH_FORMAT(X) FOR_EACH_FLOAT(X) FOR_EACH_INTEGER(X) FOR_EACH_OTHER(X)

/** Caches are written number by number, and have blocks as files do. */
#define FOR_EACH_CACHE_FORMAT(X) X(f32, F32) X(f16, F16) X(q8_0, Q8_0)
