// The two sides of a product on tensor cores: how steps of k of them come into shared memory, and from there to the lanes of a warp.
#pragma once
#include "unpack.cuh"

/** Values of k of a step, two of the instruction's 16. */
constexpr int K_STEP = 32;

/** Rows of 16-bit numbers begin at multiples of 16 bytes, with zeros to the end of each. */
DEVICE int pitchOf(int cols) { return (cols + 7) & ~7; }

/**
 * A step of one side in pieces of 16 bytes: (SIDE, 4), or (K_STEP, SIDE / 8) of what is turned. The pieces of a row are exchanged, so
 * that eight which lie one below another are in different banks.
 */
template <int SIDE, bool TURNED>
struct Held {
  static constexpr int ACROSS = TURNED ? SIDE / 8 : K_STEP / 8;
  DEVICE int at(int row, int piece) { return row * ACROSS + (piece ^ (TURNED ? row & 7 : (row >> 1) & 3)); }
  /** The lane's numbers of 16 rows from `first` on and of 16 values of k: a fragment of the left side, two of the right. */
  template <bool LEFT>
  DEVICE void fragment(uint32_t (&r)[4], const uint4* held, int first, int k) {
    const int lane = threadIdx.x & 31;
    // the second of the four matrices lies below the first, the third beside it; or the other way round
    const bool below = LEFT != TURNED;
    const int row = below ? lane & 15 : (lane & 7) + ((lane >> 4) << 3), piece = below ? lane >> 4 : (lane >> 3) & 1;
    if constexpr (TURNED) loadMatricesTurned(r, held + at(k + row, first / 8 + piece));
    else loadMatrices(r, held + at(first + row, k / 8 + piece));
  }
};

/** 16-bit numbers, (side, depth) or turned (depth, side), from row `first` on: steps are copied as they are. */
template <int SIDE, int THREADS, bool TURNED>
struct Copied {
  using Place = Held<SIDE, TURNED>;
  /** Pieces of a step that a thread copies, so many rows apart. */
  static constexpr int OWN = SIDE * K_STEP / 8 / THREADS, APART = THREADS / Place::ACROSS;
  const uint16_t* matrix;
  const uint16_t* from[OWN];
  int row, piece, k, depth;
  size_t advance;

  __device__ Copied(const void* stored, int first, int side, int depth, int firstStep)
      : matrix(static_cast<const uint16_t*>(stored)),
        row(threadIdx.x / Place::ACROSS),
        piece(threadIdx.x % Place::ACROSS),
        k(K_STEP * firstStep + (TURNED ? row : 8 * piece)),
        depth(depth) {
    const size_t pitch = pitchOf(TURNED ? side : depth);
#pragma unroll
    for (int i = 0; i < OWN; i++) {
      // beyond the side its last row or piece, whose products no one stores
      if (TURNED) from[i] = matrix + (k + i * APART) * pitch + min(first + 8 * piece, static_cast<int>(pitch) - 8);
      else from[i] = matrix + min(first + row + i * APART, side - 1) * pitch + k;
    }
    advance = K_STEP * (TURNED ? pitch : 1);
  }
  /** Begins to copy the next step, zeros beyond the depth. */
  __device__ void begin(uint4* held) {
#pragma unroll
    for (int i = 0; i < OWN; i++) {
      const bool valid = k + (TURNED ? i * APART : 0) < depth;
      copyAsync16(held + Place::at(row + i * APART, piece), valid ? from[i] : matrix, valid);
      from[i] += advance;
    }
    k += K_STEP;
  }
  __device__ void finish(uint4*) const {}
};

/** A quantised format, (side, depth), which is unpacked on its way: read at `begin`, in its place at `finish`. */
template <class F, int SIDE, int THREADS>
struct Unpacked {
  static_assert(F::VALUES % K_STEP == 0, "the last step is whole");
  using Place = Held<SIDE, false>;
  static constexpr int OWN = SIDE * K_STEP / 8 / THREADS, APART = THREADS / Place::ACROSS;
  const uint8_t* from[OWN];
  Packed8<F> packed[OWN];
  int row, piece, k, depth;

  __device__ Unpacked(const void* stored, int first, int side, int depth, int firstStep)
      : row(threadIdx.x / Place::ACROSS), piece(threadIdx.x % Place::ACROSS), k(K_STEP * firstStep + 8 * piece), depth(depth) {
#pragma unroll
    for (int i = 0; i < OWN; i++)
      from[i] = static_cast<const uint8_t*>(stored) + min(first + row + i * APART, side - 1) * rowBytes<F>(depth);
  }
  __device__ void begin(uint4*) {
#pragma unroll
    for (int i = 0; i < OWN; i++) packed[i] = Packed8<F>::load(from[i], depth, k);
    k += K_STEP;
  }
  __device__ void finish(uint4* held) const {
#pragma unroll
    for (int i = 0; i < OWN; i++) held[Place::at(row + i * APART, piece)] = packed[i].pairs();
  }
};
