// Which kernel of attention has a token of a batch: both look at the same slots and positions, and agree.
#pragma once
#include "portable.cuh"

/** Tokens of a batch that are looked at together, and the longest run of them that is not worth a tile (FEW of host/cuda.ts). */
constexpr int CHUNK = 128, SHORT_RUN = 8;

/** Tokens begin … end − 1 of a batch: successive positions of a sequence. */
struct Run {
  int begin, end;
};

/** The run of token t in its chunk of a batch of n. By whole warps. */
DEVICE Run runOf(const int* slots, const int* positions, int t, int n) {
  int begin = t / CHUNK * CHUNK, end = min(begin + CHUNK, n);
  for (int i = begin + (threadIdx.x & 31), last = end; i < last; i += 32) {
    if (slots[i] == slots[t] && positions[i] - i == positions[t] - t) continue;
    if (i < t) begin = max(begin, i + 1);
    else end = min(end, i);
  }
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) {
    begin = max(begin, __shfl_xor_sync(ALL_LANES, begin, by));
    end = min(end, __shfl_xor_sync(ALL_LANES, end, by));
  }
  return {begin, end};
}

DEVICE bool isLong(Run run) { return run.end - run.begin > SHORT_RUN; }

/** Whether token t of a batch of n is in tiles of flash.cu. */
DEVICE bool inTiles(const int* slots, const int* positions, int t, int n, int headDim) {
  return n > SHORT_RUN && headDim % 16 == 0 && isLong(runOf(slots, positions, t, n));
}
