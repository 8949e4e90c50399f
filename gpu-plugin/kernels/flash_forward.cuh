#pragma once
#include "flash.cuh"

/** Rows of queries of D numbers that a tile has: 16 M a warp. Where rows are unpacked, and where sums are many, registers are full with 16. */
template <class F, int D>
constexpr int FLASH_M = COPIED<F> && D <= 128 ? 2 : 1;
template <class F, int D>
constexpr int FLASH_ROWS = 16 * FLASH_M<F, D> * FLASH_WARPS;

/** Of the four lanes that share a row of sums. */
DEVICE float rowMax(float x) {
  x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 1));
  return fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 2));
}
DEVICE float rowSum(float x) {
  x += __shfl_xor_sync(ALL_LANES, x, 1);
  return x + __shfl_xor_sync(ALL_LANES, x, 2);
}

/** The running softmax of a lane's rows: the largest scores, the sums of 2^(scale · (score − largest)), and the mixed values. */
template <int D, int M>
struct Mixture {
  float most[M][2], totals[M][2], values[M][D / 8][4];
};

/** Scores become weights, and what was mixed is weighed by the new largest ones. */
template <int D, int M>
DEVICE void weigh(float (&scores)[M][FLASH_KEYS / 8][4], Mixture<D, M>& mixture, float scale) {
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float most = mixture.most[m][half];
#pragma unroll
      for (int j = 0; j < FLASH_KEYS / 8; j++) most = fmaxf(most, fmaxf(scores[m][j][2 * half], scores[m][j][2 * half + 1]));
      most = rowMax(most);
      // of the difference: two products may be rounded apart, and a largest score that stays shrinks nothing
      const float shift = most * scale, shrink = exp2Fast((mixture.most[m][half] - most) * scale);
      float total = 0;
#pragma unroll
      for (int j = 0; j < FLASH_KEYS / 8; j++) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; i++) total += scores[m][j][i] = exp2Fast(scores[m][j][i] * scale - shift);
      }
      mixture.most[m][half] = most;
      mixture.totals[m][half] = mixture.totals[m][half] * shrink + total;
#pragma unroll
      for (int j = 0; j < D / 8; j++) {
        mixture.values[m][j][2 * half] *= shrink;
        mixture.values[m][j][2 * half + 1] *= shrink;
      }
    }
  }
}

/**
 * out = Σⱼ softmaxⱼ(q · k[j] / √headDim) v[j] over j ≤ r / width + past, and lse = log Σⱼ exp of that, unless it is null, for the rows
 * r = begin … end − 1 of a tile from `first` on, whose queries are the first tile of `shared`. Keys and values are rows of F that are
 * `stride` bytes apart; two pairs of tiles of FLASH_KEYS of them lie behind the queries.
 */
template <class N, class F, int D>
DEVICE void flashForward(float* out, float* lse, uint4* shared, const HeadRows& rows, int first, int begin, int end, int past,
                         const uint8_t* keys, const uint8_t* values, size_t stride, int headDim) {
  constexpr int M = FLASH_M<F, D>, TILE = FLASH_KEYS * D / 8;
  const int own = threadIdx.x / 32 * 16 * M, row = first + own, across = threadIdx.x % 4 * 2;
  const int width = rows.width, count = (min(end, first + FLASH_ROWS<F, D>) - 1) / width + past + 1;
  // the last key that a row of the warp looks at; none if its rows are not in question
  const bool mine = row < end && row + 16 * M > begin;
  const float scale = LOG2_E / sqrtf(static_cast<float>(headDim));
  const auto tileOf = [&](int from) { return shared + FLASH_ROWS<F, D> * D / 8 + from / FLASH_KEYS % 2 * 2 * TILE; };
  const auto bringTiles = [&](int from) {
    const auto bringTile = [&](uint4* tile, const uint8_t* stored) {
      bring<N, F, D, FLASH_KEYS>(tile, headDim, [&](int j) { return from + j < count ? stored + (from + j) * stride : nullptr; });
    };
    bringTile(tileOf(from), keys);
    bringTile(tileOf(from) + TILE, values);
    commitCopies();
  };

  Mixture<D, M> mixture = {};
#pragma unroll
  for (int m = 0; m < M; m++) mixture.most[m][0] = mixture.most[m][1] = -INFINITY;
  __syncthreads();  // what an earlier call brought has been read
  bringTiles(0);
  for (int from = 0; from < count; from += FLASH_KEYS) {
    waitForCopies<0>();
    __syncthreads();  // the tiles are there, those before them have been read
    if (from + FLASH_KEYS < count) bringTiles(from + FLASH_KEYS);
    if (!mine) continue;
    float scores[M][FLASH_KEYS / 8][4] = {};
    addDots<N, D>(scores, shared, own, tileOf(from));
    // row r looks at key j if (j − past) · width ≤ r
    if ((from + FLASH_KEYS - 1 - past) * width > row) {
      const int down = fresh(row) + threadIdx.x % 32 / 4, step = fresh(width), least = (from + across - past) * step;
#pragma unroll
      for (int m = 0; m < M; m++)
#pragma unroll
        for (int j = 0; j < FLASH_KEYS / 8; j++)
#pragma unroll
          for (int i = 0; i < 4; i++)
            if (least + (8 * j + i % 2) * step > down + 16 * m + i / 2 * 8) scores[m][j][i] = -INFINITY;
    }
    weigh(scores, mixture, scale);
    addMixed<N, D>(mixture.values, scores, tileOf(from) + TILE);
  }

#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float total = rowSum(mixture.totals[m][half]);
      const int r = fresh(row) + 16 * m + 8 * half + threadIdx.x % 32 / 4;
      if (r < begin || r >= end) continue;
      const size_t head = headOf(rows, r);
#pragma unroll
      for (int j = 0; j < D / 8; j++) {
        if (8 * j >= headDim) break;
        const float2 two = {mixture.values[m][j][2 * half] / total, mixture.values[m][j][2 * half + 1] / total};
        *reinterpret_cast<float2*>(out + head * headDim + 8 * j + across) = two;
      }
      if (lse != nullptr && across == 0) lse[head] = (mixture.most[m][half] * scale + log2f(total)) / LOG2_E;
    }
  }
}
