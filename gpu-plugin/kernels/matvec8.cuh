// Rows of integers, 32 weights at a time, as bytes that four at a time meet rounded activations (dp4a). Loads come first, all of a
// lane's at once; what they mean is worked out when they are there.
#pragma once
#include "formats.cuh"

/** 32 weights in two runs of 16: weight = scale · byte − min. Run k meets the tokens' run at[k] of 16 numbers. */
struct Runs {
  int bytes[2][4], at[2];
  float scale[2], min[2];
};

/** The low and the high nibbles of four bytes. */
DEVICE int lowNibbles(uint32_t bytes) { return static_cast<int>(bytes & 0x0f0f0f0fu); }
DEVICE int highNibbles(uint32_t bytes) { return static_cast<int>((bytes >> 4) & 0x0f0f0f0fu); }

/** What a lane loads of its u-th 32 weights of a row, in the order in which the row has them. */
template <class F>
struct Raw;

template <>
struct Raw<Planar<Q8_0>> {
  static constexpr int AHEAD = 2;
  uint4 low, high;
  uint16_t d;

  DEVICE Raw load(const uint8_t* row, int u, int cols) {
    return {loadOnce(row + 32 * u), loadOnce(row + 32 * u + 16), load16(row + cols + 2 * u)};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const float d = halfToFloat(raw.d);
    Runs runs = {{}, {2 * u, 2 * u + 1}, {d, d}, {0, 0}};
    memcpy(runs.bytes[0], &raw.low, 16);
    memcpy(runs.bytes[1], &raw.high, 16);
    return runs;
  }
};

template <>
struct Raw<Planar<Q4_0>> {
  static constexpr int AHEAD = 4;
  uint4 q;
  uint16_t d;

  DEVICE Raw load(const uint8_t* row, int u, int cols) { return {loadOnce(row + 16 * u), load16(row + cols / 2 + 2 * u)}; }
  DEVICE Runs runs(const Raw& raw, int u) {
    const float d = halfToFloat(raw.d);
    const uint32_t words[4] = {raw.q.x, raw.q.y, raw.q.z, raw.q.w};
    Runs runs = {{}, {2 * u, 2 * u + 1}, {d, d}, {8 * d, 8 * d}};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      runs.bytes[0][i] = lowNibbles(words[i]);
      runs.bytes[1][i] = highNibbles(words[i]);
    }
    return runs;
  }
};

/** Byte j of 4 of a word. */
DEVICE int byteOf(uint32_t word, int j) { return (word >> (8 * j)) & 255; }

// a piece of 16 bytes has the low nibbles of a sub-block of 32 and the high ones of the next
template <>
struct Raw<Q4_K> {
  static constexpr int AHEAD = 2;
  uint4 head, q;

  DEVICE Raw load(const uint8_t* row, int u, int) {
    const uint8_t* block = row + static_cast<size_t>(u / 8) * Q4_K::BYTES;
    const uint4 head = *reinterpret_cast<const uint4*>(block);
    return {head, loadOnce(block + 16 + 16 * (u & 7))};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const int pair = (u & 7) / 2, at = 16 * (u / 8) + 4 * pair + (u & 1);
    const uint32_t words[4] = {raw.q.x, raw.q.y, raw.q.z, raw.q.w};
    const float d = halfToFloat(static_cast<uint16_t>(raw.head.x)), dmin = halfToFloat(static_cast<uint16_t>(raw.head.x >> 16));
    Runs runs = {{}, {at, at + 2}, {0, 0}, {0, 0}};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      runs.bytes[0][i] = lowNibbles(words[i]);
      runs.bytes[1][i] = highNibbles(words[i]);
    }
#pragma unroll
    for (int k = 0; k < 2; k++) {
      // scale6 of formats.cuh, of words
      const int j = 2 * pair + k, first = byteOf(raw.head.y, j & 3), second = byteOf(raw.head.z, j & 3), third = byteOf(raw.head.w, j & 3);
      runs.scale[k] = d * (j < 4 ? first & 63 : (third & 15) | (first >> 6) << 4);
      runs.min[k] = dmin * (j < 4 ? second & 63 : (third >> 4) | (second >> 6) << 4);
    }
    return runs;
  }
};

// a piece of 16 low bytes has values 16p … of a half of 128, and those 64 behind them
template <>
struct Raw<Planar<Q6_K>> {
  static constexpr int AHEAD = 2;
  uint4 low, high;
  int8_t scales[2];
  uint16_t d;

  DEVICE Raw load(const uint8_t* row, int u, int cols) {
    const int blocks = cols / 256, b = u / 8, half = (u & 7) / 4, piece = u & 3;
    const uint8_t* scales = row + 192 * blocks + 16 * b + 8 * half + piece;
    const uint8_t* high = row + 128 * blocks + 64 * b + 32 * half + 16 * (piece & 1);
    return {loadOnce(row + 16 * u),
            *reinterpret_cast<const uint4*>(high),
            {static_cast<int8_t>(scales[0]), static_cast<int8_t>(scales[4])},
            load16(row + 208 * blocks + 2 * b)};
  }
  DEVICE Runs runs(const Raw& raw, int u) {
    const int half = (u & 7) / 4, piece = u & 3, at = 16 * (u / 8) + 8 * half + piece;
    const uint32_t low[4] = {raw.low.x, raw.low.y, raw.low.z, raw.low.w}, high[4] = {raw.high.x, raw.high.y, raw.high.z, raw.high.w};
    const float d = halfToFloat(raw.d);
    Runs runs = {{}, {at, at + 4}, {d * raw.scales[0], d * raw.scales[1]}, {0, 0}};
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int k = 0; k < 2; k++) {
        const uint32_t upper = (high[i] >> (4 * k + 2 * (piece / 2))) & 0x03030303u;
        const uint32_t q = static_cast<uint32_t>(k == 0 ? lowNibbles(low[i]) : highNibbles(low[i])) | upper << 4;
        // every byte less 32: no byte borrows from the next while its top bit is set
        runs.bytes[k][i] = static_cast<int>(((q | 0x80808080u) - 0x20202020u) ^ 0x80808080u);
      }
    }
    return runs;
  }
};
