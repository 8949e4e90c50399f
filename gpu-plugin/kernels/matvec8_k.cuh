// matvec8.cuh for blocks of 256, which eight lanes share.
#pragma once
#include "matvec8.cuh"

// two bits to a value: a piece of 16 bytes has four runs, of which a lane takes two that are 32 values apart
struct TwoBits {
  int half, piece, first;
};
/** The lane's piece of its half of 128 values, and the first of its two runs of 16 there. */
DEVICE TwoBits twoBitsOf(int u) { return {(u & 7) / 4, (u / 2) & 1, 2 * (u & 1)}; }
/** Which run of the block run k is. */
DEVICE int runOf(const TwoBits& at, int k) { return 8 * at.half + 2 * (at.first + k) + at.piece; }

template <>
struct Raw<Q2_K> {
  static constexpr int AHEAD = 2;
  uint4 q;
  uint8_t scales[2];
  uint32_t head;

  DEVICE Raw load(const uint8_t* row, int u, int blocks) {
    const TwoBits at = twoBitsOf(u);
    const uint8_t* scales = fieldAt<Q2_K>(row, 0, u / 8, blocks);
    const uint8_t* q = fieldAt<Q2_K>(row, 1, u / 8, blocks) + 32 * at.half + 16 * at.piece;
    return {*reinterpret_cast<const uint4*>(q),
            {scales[runOf(at, 0)], scales[runOf(at, 1)]},
            *reinterpret_cast<const uint32_t*>(fieldAt<Q2_K>(row, 2, u / 8, blocks))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const TwoBits at = twoBitsOf(u);
    const float d = halfToFloat(static_cast<uint16_t>(raw.head)), dmin = halfToFloat(static_cast<uint16_t>(raw.head >> 16));
    Runs runs;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      runs.at[k] = 16 * (u / 8) + runOf(at, k);
      runs.scale[k] = d * (raw.scales[k] & 15);
      runs.min[k] = dmin * (raw.scales[k] >> 4);
#pragma unroll
      for (int i = 0; i < 4; i++) runs.bytes[k][i] = static_cast<int>((wordOf(raw.q, i) >> (2 * (at.first + k))) & 0x03030303u);
    }
    return runs;
  }
};

template <>
struct Raw<Q3_K> {
  static constexpr int AHEAD = 2;
  uint4 high, q;
  uint8_t low[2], upper[2];
  uint16_t d;

  DEVICE Raw load(const uint8_t* row, int u, int blocks) {
    const TwoBits at = twoBitsOf(u);
    const int b = u / 8, first = runOf(at, 0), second = runOf(at, 1);
    const uint8_t* scales = fieldAt<Q3_K>(row, 2, b, blocks);
    return {*reinterpret_cast<const uint4*>(fieldAt<Q3_K>(row, 0, b, blocks) + 16 * at.piece),
            *reinterpret_cast<const uint4*>(fieldAt<Q3_K>(row, 1, b, blocks) + 32 * at.half + 16 * at.piece),
            {scales[first & 7], scales[second & 7]},
            {scales[8 + (first & 3)], scales[8 + (second & 3)]},
            load16(fieldAt<Q3_K>(row, 3, b, blocks))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const TwoBits at = twoBitsOf(u);
    const float d = halfToFloat(raw.d);
    Runs runs;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      const int j = runOf(at, k), low = (raw.low[k] >> (j & 8 ? 4 : 0)) & 15;
      runs.at[k] = 16 * (u / 8) + j;
      runs.scale[k] = d * ((low | ((raw.upper[k] >> (2 * (j >> 2))) & 3) << 4) - 32);
      runs.min[k] = 4 * runs.scale[k];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const uint32_t two = (wordOf(raw.q, i) >> (2 * (at.first + k))) & 0x03030303u;
        const uint32_t third = (wordOf(raw.high, i) >> (4 * at.half + at.first + k)) & 0x01010101u;
        runs.bytes[k][i] = static_cast<int>(two | third << 2);
      }
    }
    return runs;
  }
};

/** Byte j of 4 of a word. */
DEVICE int byteOf(uint32_t word, int j) { return (word >> (8 * j)) & 255; }

/** Runs of Q4_K and Q5_K: a piece of 16 bytes has the low nibbles of a sub-block of 32 and the high ones of the next. */
DEVICE Runs runsOfPairs(const uint4& head, int u) {
  const int pair = (u & 7) / 2, at = 16 * (u / 8) + 4 * pair + (u & 1);
  const float d = halfToFloat(static_cast<uint16_t>(head.x)), dmin = halfToFloat(static_cast<uint16_t>(head.x >> 16));
  Runs runs;
#pragma unroll
  for (int k = 0; k < 2; k++) {
    // scale6 of formats.cuh, of words
    const int j = 2 * pair + k, first = byteOf(head.y, j & 3), second = byteOf(head.z, j & 3), third = byteOf(head.w, j & 3);
    runs.at[k] = at + 2 * k;
    runs.scale[k] = d * (j < 4 ? first & 63 : (third & 15) | (first >> 6) << 4);
    runs.min[k] = dmin * (j < 4 ? second & 63 : (third >> 4) | (second >> 6) << 4);
  }
  return runs;
}

template <>
struct Raw<Q4_K> {
  static constexpr int AHEAD = 2;
  uint4 head, q;

  DEVICE Raw load(const uint8_t* row, int u, int blocks) {
    return {*reinterpret_cast<const uint4*>(fieldAt<Q4_K>(row, 0, u / 8, blocks)),
            loadOnce(fieldAt<Q4_K>(row, 1, u / 8, blocks) + 16 * (u & 7))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    Runs runs = runsOfPairs(raw.head, u);
#pragma unroll
    for (int k = 0; k < 2; k++)
#pragma unroll
      for (int i = 0; i < 4; i++) runs.bytes[k][i] = static_cast<int>(nibbles(wordOf(raw.q, i), k));
    return runs;
  }
};

template <>
struct Raw<Q5_K> {
  static constexpr int AHEAD = 2;
  uint4 head, fifth, q;

  DEVICE Raw load(const uint8_t* row, int u, int blocks) {
    return {*reinterpret_cast<const uint4*>(fieldAt<Q5_K>(row, 0, u / 8, blocks)),
            *reinterpret_cast<const uint4*>(fieldAt<Q5_K>(row, 1, u / 8, blocks) + 16 * (u & 1)),
            loadOnce(fieldAt<Q5_K>(row, 2, u / 8, blocks) + 16 * (u & 7))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    Runs runs = runsOfPairs(raw.head, u);
#pragma unroll
    for (int k = 0; k < 2; k++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const uint32_t fifth = (wordOf(raw.fifth, i) >> (2 * ((u & 7) / 2) + k)) & 0x01010101u;
        runs.bytes[k][i] = static_cast<int>(nibbles(wordOf(raw.q, i), k) | fifth << 4);
      }
    return runs;
  }
};

// a piece of 16 low bytes has values 16p … of a half of 128, and those 64 behind them
template <>
struct Raw<Q6_K> {
  static constexpr int AHEAD = 2;
  uint4 low, high;
  int8_t scales[2];
  uint16_t d;

  DEVICE Raw load(const uint8_t* row, int u, int blocks) {
    const int b = u / 8, half = (u & 7) / 4, piece = u & 3;
    const uint8_t* scales = fieldAt<Q6_K>(row, 2, b, blocks) + 8 * half + piece;
    return {loadOnce(fieldAt<Q6_K>(row, 0, b, blocks) + 16 * (u & 7)),
            *reinterpret_cast<const uint4*>(fieldAt<Q6_K>(row, 1, b, blocks) + 32 * half + 16 * (piece & 1)),
            {static_cast<int8_t>(scales[0]), static_cast<int8_t>(scales[4])},
            load16(fieldAt<Q6_K>(row, 3, b, blocks))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const int half = (u & 7) / 4, piece = u & 3, at = 16 * (u / 8) + 8 * half + piece;
    const float d = halfToFloat(raw.d);
    Runs runs = {{}, {at, at + 4}, {d * raw.scales[0], d * raw.scales[1]}, {0, 0}};
#pragma unroll
    for (int k = 0; k < 2; k++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const uint32_t upper = (wordOf(raw.high, i) >> (4 * k + 2 * (piece / 2))) & 0x03030303u;
        const uint32_t q = nibbles(wordOf(raw.low, i), k) | upper << 4;
        // every byte less 32: no byte borrows from the next while its top bit is set
        runs.bytes[k][i] = static_cast<int>(((q | 0x80808080u) - 0x20202020u) ^ 0x80808080u);
      }
    return runs;
  }
};

template <>
struct Raw<IQ4_XS> {
  static constexpr int AHEAD = 4;
  uint4 q;
  uint2 head;

  DEVICE Raw load(const uint8_t* row, int u, int blocks) {
    return {loadOnce(fieldAt<IQ4_XS>(row, 1, u / 8, blocks) + 16 * (u & 7)),
            *reinterpret_cast<const uint2*>(fieldAt<IQ4_XS>(row, 0, u / 8, blocks))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const float d = halfToFloat(static_cast<uint16_t>(raw.head.x)) * iq4Scale(raw.head.x >> 16, raw.head.y, u & 7);
    Runs runs = {{}, {2 * u, 2 * u + 1}, {d, d}, {0, 0}};
#pragma unroll
    for (int k = 0; k < 2; k++)
#pragma unroll
      for (int i = 0; i < 4; i++) runs.bytes[k][i] = static_cast<int>(Levels()(nibbles(wordOf(raw.q, i), k)));
    return runs;
  }
};
