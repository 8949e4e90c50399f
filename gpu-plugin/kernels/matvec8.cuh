// Rows of integers, 32 weights at a time, as bytes that four at a time meet rounded activations (dp4a). Loads come first, all of a
// lane's at once; what they mean is worked out when they are there.
#pragma once
#include "formats.cuh"

/** 32 weights in two runs of 16: weight = scale · byte − min. Run k meets the tokens' run at[k] of 16 numbers. */
struct Runs {
  int bytes[2][4], at[2];
  float scale[2], min[2];
};

/** What a lane loads of its u-th 32 weights of a row of F; AHEAD: of how many such at once. */
template <class F>
struct Raw;

DEVICE uint32_t wordOf(const uint4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

/** The low or the high nibbles of four bytes. */
DEVICE uint32_t nibbles(uint32_t bytes, int high) { return (bytes >> (4 * high)) & 0x0f0f0f0fu; }

/** Four bits as the lowest ones of four bytes: copies 7 bits apart, of which each byte keeps one. */
DEVICE uint32_t spread(uint32_t bits) { return ((bits & 15) * 0x00204081u) & 0x01010101u; }

// Blocks of 32: one of them.

/** q is bytes. */
template <class F, class D>
struct RawBytes {
  static constexpr int AHEAD = 2;
  uint4 low, high;
  D d;

  DEVICE RawBytes load(const uint8_t* row, int u, int blocks) {
    const uint8_t* q = fieldAt<F>(row, 1, u, blocks);
    return {loadOnce(q), loadOnce(q + 16), *reinterpret_cast<const D*>(fieldAt<F>(row, 0, u, blocks))};
  }
  DEVICE Runs runs(const RawBytes& raw, int u) {
    float d;
    if constexpr (sizeof(D) == 2) d = halfToFloat(raw.d);
    else d = raw.d;
    Runs runs = {{}, {2 * u, 2 * u + 1}, {d, d}, {0, 0}};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      runs.bytes[0][i] = static_cast<int>(wordOf(raw.low, i));
      runs.bytes[1][i] = static_cast<int>(wordOf(raw.high, i));
    }
    return runs;
  }
};
template <>
struct Raw<Q8_0> : RawBytes<Q8_0, uint16_t> {};
template <>
struct Raw<Q8_F32> : RawBytes<Q8_F32, float> {};

/** q is nibbles, whose values `decoded` gives; `head` is d, or d and m. */
template <class F, class Head>
struct RawNibbles {
  static constexpr int AHEAD = 4;
  uint4 q;
  Head head;

  DEVICE RawNibbles load(const uint8_t* row, int u, int blocks) {
    return {loadOnce(fieldAt<F>(row, 1, u, blocks)), *reinterpret_cast<const Head*>(fieldAt<F>(row, 0, u, blocks))};
  }
  template <class Decoded>
  DEVICE Runs runsOf(const RawNibbles& raw, int u, float d, float min, Decoded decoded) {
    Runs runs = {{}, {2 * u, 2 * u + 1}, {d, d}, {min, min}};
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int k = 0; k < 2; k++) runs.bytes[k][i] = static_cast<int>(decoded(nibbles(wordOf(raw.q, i), k)));
    return runs;
  }
};

/** Nibbles as they are. */
struct AsTheyAre {
  __device__ uint32_t operator()(uint32_t q) const { return q; }
};

template <>
struct Raw<Q4_0> : RawNibbles<Q4_0, uint16_t> {
  DEVICE Runs runs(const RawNibbles& raw, int u) {
    const float d = halfToFloat(raw.head);
    return runsOf(raw, u, d, 8 * d, AsTheyAre());
  }
};

template <>
struct Raw<Q4_1> : RawNibbles<Q4_1, uint32_t> {
  DEVICE Runs runs(const RawNibbles& raw, int u) {
    return runsOf(raw, u, halfToFloat(static_cast<uint16_t>(raw.head)), -halfToFloat(static_cast<uint16_t>(raw.head >> 16)), AsTheyAre());
  }
};

/** Four nibbles, a byte each, as the levels of IQ4. */
struct Levels {
  __device__ uint32_t operator()(uint32_t q) const {
    const uint32_t pairs = q | q >> 4, low = (pairs & 0xff) | (pairs >> 8 & 0xff00);
    const uint32_t places = low & 0x7777u, upper = ((q >> 3) & 0x01010101u) * 0xff;
    const uint32_t first = __byte_perm(iq4Levels(0), iq4Levels(1), places), second = __byte_perm(iq4Levels(2), iq4Levels(3), places);
    return (first & ~upper) | (second & upper);
  }
};

template <>
struct Raw<IQ4_NL> : RawNibbles<IQ4_NL, uint16_t> {
  DEVICE Runs runs(const RawNibbles& raw, int u) { return runsOf(raw, u, halfToFloat(raw.head), 0, Levels()); }
};

/** Nibbles with a fifth bit. */
template <class F, class Head>
struct RawFive {
  static constexpr int AHEAD = 4;
  uint4 q;
  uint32_t fifth;
  Head head;

  DEVICE RawFive load(const uint8_t* row, int u, int blocks) {
    return {loadOnce(fieldAt<F>(row, 2, u, blocks)), *reinterpret_cast<const uint32_t*>(fieldAt<F>(row, 1, u, blocks)),
            *reinterpret_cast<const Head*>(fieldAt<F>(row, 0, u, blocks))};
  }
  DEVICE Runs runsOf(const RawFive& raw, int u, float d, float min) {
    Runs runs = {{}, {2 * u, 2 * u + 1}, {d, d}, {min, min}};
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int k = 0; k < 2; k++)
        runs.bytes[k][i] = static_cast<int>(nibbles(wordOf(raw.q, i), k) | spread(raw.fifth >> (16 * k + 4 * i)) << 4);
    return runs;
  }
};

template <>
struct Raw<Q5_0> : RawFive<Q5_0, uint16_t> {
  DEVICE Runs runs(const RawFive& raw, int u) {
    const float d = halfToFloat(raw.head);
    return runsOf(raw, u, d, 16 * d);
  }
};

template <>
struct Raw<Q5_1> : RawFive<Q5_1, uint32_t> {
  DEVICE Runs runs(const RawFive& raw, int u) {
    return runsOf(raw, u, halfToFloat(static_cast<uint16_t>(raw.head)), -halfToFloat(static_cast<uint16_t>(raw.head >> 16)));
  }
};
