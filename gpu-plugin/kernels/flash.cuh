// Attention in tiles on tensor cores (Dao 2023, "FlashAttention-2"): rows of queries stay in shared memory, keys and values pass
// through it as 16-bit numbers, sums are f32, and scores are nowhere but in registers.
#pragma once
#include "formats.cuh"
#include "tensor.cuh"

/** Warps of a block, keys of a tile, and what makes powers of e those of 2. */
constexpr int FLASH_WARPS = 4, FLASH_THREADS = 32 * FLASH_WARPS, FLASH_KEYS = 32;
constexpr float LOG2_E = 1.4426950408889634f;

/** Rows of (tokens, heads, headDim) that look at one kv head: row r is head first + r % width of token r / width. */
struct HeadRows {
  int heads, first, width;
};

/** Which head of all is row r. */
DEVICE size_t headOf(const HeadRows& rows, int r) {
  return static_cast<size_t>(r / rows.width) * rows.heads + rows.first + r % rows.width;
}

/** Where numbers 8c … 8c + 7 of row r are in a tile of rows of D: those of eight rows lie in different banks. */
template <int D>
DEVICE int eightAt(int r, int c) {
  return r * (D / 8) + (c ^ (r & 7));
}

template <class N>
DEVICE uint4 packed(const float (&x)[8]) {
  return {N::pair(x[0], x[1]), N::pair(x[2], x[3]), N::pair(x[4], x[5]), N::pair(x[6], x[7])};
}

/** Numbers 8c … 8c + 7 of a stored row, for tensor cores. */
template <class N>
DEVICE uint4 eightOf(F32, const uint8_t* row, int c) {
  const float4* four = reinterpret_cast<const float4*>(row) + 2 * c;
  const float4 a = four[0], b = four[1];
  return packed<N>({a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w});
}
template <class N>
DEVICE uint4 eightOf(Q8_0, const uint8_t* row, int c) {
  const uint8_t* block = row + storedBytes<Q8_0>(8 * c);
  const float scale = loadHalf(block);
  float x[8];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const uint16_t two = load16(block + 2 + 8 * c % 32 + 2 * i);
    x[2 * i] = scale * static_cast<int8_t>(two);
    x[2 * i + 1] = scale * static_cast<int8_t>(two >> 8);
  }
  return packed<N>(x);
}

/** Whether rows are stored as tensor cores take them. */
template <class F>
constexpr bool COPIED = false;
template <>
constexpr bool COPIED<F16> = true;

/** Begins to bring rows of headDim numbers, from where rowOf(r) says, into a tile (ROWS, D), zeros where it says null; by all threads. */
template <class N, class F, int D, int ROWS, class RowOf>
DEVICE void bring(uint4* tile, int headDim, RowOf rowOf) {
  constexpr int COUNT = ROWS * D / 8 / FLASH_THREADS, TOGETHER = COUNT < 4 ? COUNT : 4;
  const int thread = fresh(threadIdx.x), c = thread % (D / 8), r = thread / (D / 8);
  constexpr int APART = FLASH_THREADS / (D / 8);
  const auto eightRow = [&](int i) { return 8 * c < headDim ? rowOf(r + i * APART) : nullptr; };
  if constexpr (COPIED<F>) {
#pragma unroll 2
    for (int i = 0; i < COUNT; i++) {
      const uint8_t* row = eightRow(i);
      copyAsync16(tile + eightAt<D>(r + i * APART, c), row ? row + 16 * c : nullptr, row != nullptr);
    }
  } else {
#pragma unroll
    for (int first = 0; first < COUNT; first += TOGETHER) {
      uint4 held[TOGETHER];
#pragma unroll
      for (int i = 0; i < TOGETHER; i++) {
        const uint8_t* row = eightRow(first + i);
        held[i] = row ? eightOf<N>(F{}, row, c) : uint4{0, 0, 0, 0};
      }
#pragma unroll
      for (int i = 0; i < TOGETHER; i++) tile[eightAt<D>(r + (first + i) * APART, c)] = held[i];
    }
  }
}

/** sums (16 M, 8 J) += a · bᵀ;  a: rows `row` … of a tile, b: a tile of 8 J rows. */
template <class N, int D, int M, int J>
DEVICE void addDots(float (&sums)[M][J][4], const uint4* a, int row, const uint4* b) {
  const int lane = fresh(threadIdx.x & 31);
#pragma unroll
  for (int k = 0; k < D / 8; k += 2) {
    uint32_t left[M][4], right[4];
#pragma unroll
    for (int m = 0; m < M; m++) loadMatrices(left[m], a + eightAt<D>(row + 16 * m + (lane & 15), k + (lane >> 4)));
#pragma unroll
    for (int j = 0; j < J; j += 2) {
      loadMatrices(right, b + eightAt<D>(8 * j + (lane & 7) + (lane >> 4) * 8, k + (lane >> 3) % 2));
#pragma unroll
      for (int m = 0; m < M; m++) {
        N::multiply(sums[m][j], left[m], right[0], right[1]);
        N::multiply(sums[m][j + 1], left[m], right[2], right[3]);
      }
    }
  }
}

/** sums (16 M, D) += p · b;  p (16 M, 8 J), as the lanes have sums of products, b: a tile of 8 J rows. */
template <class N, int D, int M, int J>
DEVICE void addMixed(float (&sums)[M][D / 8][4], const float (&p)[M][J][4], const uint4* b) {
  const int lane = fresh(threadIdx.x & 31);
#pragma unroll
  for (int k = 0; k < J; k += 2) {
    uint32_t left[M][4], right[4];
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
      for (int i = 0; i < 4; i++) left[m][i] = N::pair(p[m][k + i / 2][i % 2 * 2], p[m][k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int j = 0; j < D / 8; j += 2) {
      loadMatricesTurned(right, b + eightAt<D>(8 * k + (lane & 15), j + (lane >> 4)));
#pragma unroll
      for (int m = 0; m < M; m++) {
        N::multiply(sums[m][j], left[m], right[0], right[1]);
        N::multiply(sums[m][j + 1], left[m], right[2], right[3]);
      }
    }
  }
}
