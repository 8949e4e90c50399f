// The instructions of kernels/tensor.cuh on the CPU: the same fragments in the same lanes, sums in f32 in the order of k. Copies land as
// late as the program allows, and their destination is NaN until then.
#pragma once
#include "fibers.h"

namespace fibers {

/** Each lane's `bytes` for the others; what `exchange` does, for more of them. */
template <class T>
void publish(const T& value, int line) {
  static_assert(sizeof(T) <= sizeof(Warp::published[0]));
  std::memcpy(block->current->warp->published[block->current->lane], &value, sizeof(T));
  syncWarp(~0u, line);
}

template <class T>
T publishedBy(int lane) {
  T value;
  std::memcpy(&value, block->current->warp->published[lane], sizeof(T));
  return value;
}

/** The row of 16 bytes whose address lane `from` gave to a load of matrices. */
inline const unsigned char* matrixRow(int from) { return publishedBy<const unsigned char*>(from); }

/** c += a · bᵀ over K numbers of type T, which `number` reads from a word at a place. */
template <int K, class C, class Number>
void multiply(C (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Number number, int line) {
  struct Fragments {
    uint32_t a[4], b[2];
  };
  publish(Fragments{{a[0], a[1], a[2], a[3]}, {b0, b1}}, line);
  constexpr int PER_WORD = K / 8;
  const int g = block->current->lane / 4, t = block->current->lane % 4;
  for (int i = 0; i < 4; i++) {
    const int lower = i / 2, column = 2 * t + i % 2;
    for (int k = 0; k < K; k++) {
      const int half = k / (K / 2), word = k % (K / 2) / PER_WORD, place = k % PER_WORD;
      const uint32_t left = publishedBy<Fragments>(4 * g + word).a[lower + 2 * half];
      const uint32_t right = publishedBy<Fragments>(4 * column + word).b[half];
      c[i] += number(left, place) * number(right, place);
    }
  }
  syncWarp(~0u, line);
}

}  // namespace fibers

inline uint16_t bitsBf16(float x) {
  const uint32_t bits = bitsOf(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline uint32_t pairBf16(float low, float high) { return bitsBf16(low) | static_cast<uint32_t>(bitsBf16(high)) << 16; }
inline uint32_t pairHalf(float low, float high) { return floatToHalf(low) | static_cast<uint32_t>(floatToHalf(high)) << 16; }

inline void copyAsync16(void* to, const void* from, bool valid) {
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % 16 != 0) fibers::fail("copyAsync16: not aligned to 16 bytes");
  std::memset(to, 0xff, 16);
  fibers::block->current->copies.push_back({to, valid ? from : nullptr});
}
inline void commitCopies() {
  fibers::Fiber* fiber = fibers::block->current;
  fiber->groups.push_back(std::move(fiber->copies));
  fiber->copies.clear();
}
template <int N>
void waitForCopies() {
  auto& groups = fibers::block->current->groups;
  for (; groups.size() > N; groups.erase(groups.begin()))
    for (const fibers::Copy& copy : groups.front()) {
      if (copy.from) std::memcpy(copy.to, copy.from, 16);
      else std::memset(copy.to, 0, 16);
    }
}

#define loadMatrices(r, row) fibers::loadMatricesAt(r, row, false, __LINE__)
#define loadMatricesTurned(r, row) fibers::loadMatricesAt(r, row, true, __LINE__)
#define multiplyBf16(c, a, b0, b1) \
  fibers::multiply<16>(c, a, b0, b1, [](uint32_t word, int i) { return i ? highBf16(word) : lowBf16(word); }, __LINE__)
#define multiplyHalf(c, a, b0, b1) \
  fibers::multiply<16>(c, a, b0, b1, [](uint32_t word, int i) { return halfToFloat(static_cast<uint16_t>(word >> (16 * i))); }, __LINE__)
#define multiplyBytes(c, a, b0, b1) \
  fibers::multiply<32>(c, a, b0, b1, [](uint32_t word, int i) { return static_cast<int8_t>(word >> (8 * i)); }, __LINE__)

namespace fibers {

inline void loadMatricesAt(uint32_t (&r)[4], const void* row, bool turned, int line) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("loadMatrices: a row is not aligned to 16 bytes");
  publish(row, line);
  const int lane = block->current->lane;
  checkBanks();
  for (int j = 0; j < 4; j++) {
    if (turned) {
      uint16_t two[2];
      for (int i = 0; i < 2; i++) std::memcpy(&two[i], matrixRow(8 * j + 2 * (lane % 4) + i) + 2 * (lane / 4), 2);
      std::memcpy(&r[j], two, 4);
    } else std::memcpy(&r[j], matrixRow(8 * j + lane / 4) + 4 * (lane % 4), 4);
  }
  syncWarp(~0u, line);
}

}  // namespace fibers

inline float exp2Fast(float x) { return std::exp2(x); }
inline int fresh(int x) { return x; }
