// Products of matrices on tensor cores: out (m, n) = a · b over `depth` values of k, of 16-bit numbers with sums in f32. A block has a tile of
// out; steps of k come through a ring of shared memory, several on their way while one is multiplied (as CUTLASS's multistage
// main loop, include/cutlass/gemm/threadblock/mma_multistage.h). What lies row after row along k is used as it is, what lies along m
// or n is turned on its way to the registers.
#pragma once
#include "gemm_sides.cuh"

/** A block's tile of out, warps down and across it, and whether it is for few rows of a. */
template <int M_, int N_, int DOWN_, int ACROSS_, bool FEW_>
struct TileShape {
  static constexpr int M = M_, N = N_, DOWN = DOWN_, ACROSS = ACROSS_;
  static constexpr bool FEW = FEW_;
  static constexpr int THREADS = 32 * DOWN * ACROSS, STAGES = 4;
  /** Pieces of a step of a, of both. The ring's bytes are in host/cuda-kernels.ts. */
  static constexpr int A_PIECES = M * K_STEP / 8, PIECES = A_PIECES + N * K_STEP / 8;
};
/** A warp has 64 × 64: the most products to a number loaded that its registers hold. */
using LargeTile = TileShape<128, 256, 2, 4, false>;
using SmallTile = TileShape<64, 128, 2, 4, true>;

/** The block's tile. Neighbours share rows of a and of b while these are in the cache: up to 16 tiles down, then one across. */
DEVICE void tileOfBlock(int& i, int& j, int down, int across) {
  constexpr int TOGETHER = 16;
  const int id = blockIdx.x, first = id / (TOGETHER * across) * TOGETHER, rows = min(TOGETHER, down - first);
  const int within = id - first * across;
  i = first + within % rows;
  j = within / rows;
}

/** out[0] = or += x, and out[1] y if there is a second one. */
DEVICE void putTwo(float* out, float x, float y, bool second, bool aligned, bool add) {
  if (second && aligned) {
    float2* both = reinterpret_cast<float2*>(out);
    const float2 old = add ? *both : float2{0, 0};
    *both = {old.x + x, old.y + y};
  } else {
    out[0] = add ? out[0] + x : x;
    if (second) out[1] = add ? out[1] + y : y;
  }
}

/**
 * out (m, n), rows `stride` apart, = or += scales[i] · (a · b)[i], scales (m) or none. gridX tiles; gridY parts of depth, whose sums
 * follow one another in out, m rows each. No two blocks have a number of out in common.
 */
template <class Tile, class Numbers, class Left, class Right>
DEVICE void gemm(float* out, const void* a, const void* b, const float* scales, int m, int n, int depth, int stride, int add) {
  DYNAMIC_SHARED(uint4, ring);
  constexpr int ROWS = Tile::M / Tile::DOWN, COLS = Tile::N / Tile::ACROSS;  // of a warp
  int firstRow, firstCol;
  tileOfBlock(firstRow, firstCol, (m + Tile::M - 1) / Tile::M, (n + Tile::N - 1) / Tile::N);
  firstRow *= Tile::M;
  firstCol *= Tile::N;
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  const int warpRow = warp / Tile::ACROSS * ROWS, warpCol = warp % Tile::ACROSS * COLS;
  const int allSteps = (depth + K_STEP - 1) / K_STEP, share = (allSteps + gridDim.y - 1) / gridDim.y;
  const int firstStep = blockIdx.y * share, steps = max(0, min(share, allSteps - firstStep));

  Left left(a, firstRow, m, depth, firstStep);
  Right right(b, firstCol, n, depth, firstStep);
  const auto stage = [&](int step) { return ring + step % Tile::STAGES * Tile::PIECES; };
#pragma unroll
  for (int step = 0; step < Tile::STAGES - 1; step++) {
    if (step < steps) {
      left.begin(stage(step));
      right.begin(stage(step) + Tile::A_PIECES);
      right.finish(stage(step) + Tile::A_PIECES);
    }
    commitCopies();
  }

  // groups of 16 rows of the warp that are not all beyond m
  const int groups = Tile::FEW ? min(ROWS / 16, (m - firstRow - warpRow + 15) / 16) : ROWS / 16;
  float sums[ROWS / 16][COLS / 8][4] = {};
  // of the half step that is multiplied, and of the one after it
  uint32_t lefts[2][ROWS / 16][4], rights[2][COLS / 16][4];
  const auto loadHalf = [&](int into, const uint4* held, int k) {
#pragma unroll
    for (int i = 0; i < ROWS / 16; i++)
      if (i < groups) Left::Place::template fragment<true>(lefts[into][i], held, warpRow + 16 * i, k);
#pragma unroll
    for (int j = 0; j < COLS / 16; j++) Right::Place::template fragment<false>(rights[into][j], held + Tile::A_PIECES, warpCol + 16 * j, k);
  };
  const auto waitForStep = [] {
    waitForCopies<Tile::STAGES - 2>();
    __syncthreads();
  };
  waitForStep();
  loadHalf(0, stage(0), 0);
  for (int step = 0; step < steps; step++) {
    const int later = step + Tile::STAGES - 1;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      if (half == 0) {
        loadHalf(1, stage(step), 16);
        if (later < steps) {
          left.begin(stage(later));
          right.begin(stage(later) + Tile::A_PIECES);
        }
        commitCopies();
      } else {
        // the next step has come, and all warps have what they need of this one: its place is free
        waitForStep();
        loadHalf(0, stage(step + 1), 0);
      }
#pragma unroll
      for (int i = 0; i < ROWS / 16; i++) {
        if (i >= groups) break;
#pragma unroll
        for (int j = 0; j < COLS / 8; j++) {
          const uint32_t* b = &rights[half][j / 2][j % 2 * 2];
          Numbers::multiply(sums[i][j], lefts[half][i], b[0], b[1]);
        }
      }
    }
    if (later < steps) right.finish(stage(later) + Tile::A_PIECES);
  }

  out += static_cast<size_t>(blockIdx.y) * m * stride;
  const bool aligned = (reinterpret_cast<uintptr_t>(out) | 4 * static_cast<uintptr_t>(stride)) % sizeof(float2) == 0;
#pragma unroll
  for (int i = 0; i < ROWS / 8; i++) {
    const int row = firstRow + warpRow + 8 * i + lane / 4;
    if (row >= m) break;
    const float scale = scales ? scales[row] : 1;
#pragma unroll
    for (int j = 0; j < COLS / 8; j++) {
      const int col = firstCol + warpCol + 8 * j + 2 * (lane % 4);
      const float x = scale * sums[i / 2][j][i % 2 * 2], y = scale * sums[i / 2][j][i % 2 * 2 + 1];
      if (col < n) putTwo(out + static_cast<size_t>(row) * stride + col, x, y, col + 1 < n, aligned, add);
    }
  }
}

/** The arguments of all of them. */
#define GEMM(name, Tile, Numbers, Left, Right) \
  KERNEL __launch_bounds__(Tile::THREADS, Tile::FEW ? 2 : 1) \
      name(float* out, const void* a, const void* b, const float* scales, int m, int n, int depth, int stride, int add) { \
    gemm<Tile, Numbers, Left, Right>(out, a, b, scales, m, n, depth, stride, add); \
  } \
  REGISTER_KERNEL(name);
