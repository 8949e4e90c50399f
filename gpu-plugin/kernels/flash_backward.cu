#include "flash_train.cuh"
#include "reduce.cuh"

/** mean[r] = dOut[r] · out[r] for the heads r of all tokens, a warp each. */
KERNEL flash_means(float* mean, const float* dOut, const float* out, int count, int headDim) {
  const int r = (blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  if (r >= count) return;
  const size_t at = static_cast<size_t>(r) * headDim;
  float sum = 0;
  for (int d = threadIdx.x & 31; d < headDim; d += 32) sum += dOut[at + d] * out[at + d];
  sum = warpSum(sum);
  if (threadIdx.x % 32 == 0) mean[r] = sum;
}
REGISTER_KERNEL(flash_means);

/** What p and ds need of a row of queries; with an infinite total a row weighs nothing. */
DEVICE float2 totalAndMean(const float* lse, const float* mean, const Part& part, int r) {
  if (r >= part.count) return {INFINITY, 0};
  const size_t head = part.queries + headOf(part.rows, r);
  return {lse[head] * LOG2_E, mean[head]};
}

/** dQ[r] += Σⱼ ds · k[j] with ds = p · (dOut[r] · v[j] − mean[r]) / √headDim and p = exp(s − lse[r]). A block has OWN_ROWS rows. */
template <int D>
DEVICE void backwardQueries(float* dQ, const float* mean, const float* dOut, const float* lse, const float* q, const float* k,
                            const float* v, int T, int heads, int kvHeads, int headDim) {
  constexpr int OWN = OWN_ROWS * D / 8, PASSING = FLASH_KEYS * D / 8;
  DYNAMIC_SHARED(uint4, queries);
  uint4 *gradients = queries + OWN, *keys = gradients + OWN, *values = keys + PASSING;
  const int tiles = tilesOf(T * (heads / kvHeads));
  const Part part = partOf(tiles, T, heads, kvHeads);
  // the tiles with most keys first
  const int first = (tiles - 1 - part.tile) * OWN_ROWS, own = threadIdx.x / 32 * 16, across = threadIdx.x % 4 * 2;
  const int group = part.rows.width, down = first + own + threadIdx.x % 32 / 4;
  const float scale = 1 / sqrtf(static_cast<float>(headDim));
  bringQueries<D, OWN_ROWS>(queries, q, part, first, headDim);
  bringQueries<D, OWN_ROWS>(gradients, dOut, part, first, headDim);
  const float2 of[2] = {totalAndMean(lse, mean, part, down), totalAndMean(lse, mean, part, down + 8)};
  float sums[1][D / 8][4] = {};
  const int count = (min(part.count, first + OWN_ROWS) - 1) / group + 1;
  for (int from = 0; from < count; from += FLASH_KEYS) {
    __syncthreads();  // the keys and values before have been read
    bringKeys<D, FLASH_KEYS>(keys, k, part, from, T, headDim);
    bringKeys<D, FLASH_KEYS>(values, v, part, from, T, headDim);
    __syncthreads();
    float p[1][FLASH_KEYS / 8][4] = {}, along[1][FLASH_KEYS / 8][4] = {};
    addDots<Bf16s, D>(p, queries, own, keys);
    addDots<Bf16s, D>(along, gradients, own, values);
#pragma unroll
    for (int j = 0; j < FLASH_KEYS / 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const bool sees = (from + 8 * j + across + i % 2) * group <= down + i / 2 * 8;
        const float weight = sees ? exp2Fast(p[0][j][i] * (scale * LOG2_E) - of[i / 2].x) : 0;
        p[0][j][i] = weight * (along[0][j][i] - of[i / 2].y);
      }
    }
    addMixed<Bf16s, D>(sums, p, keys);
  }
  for (int half = 0; half < 2; half++) {
    const int r = down + 8 * half;
    if (r < part.count) addRow<D>(dQ + (part.queries + headOf(part.rows, r)) * headDim, sums, half, scale, headDim);
  }
}

/** dK[j] += Σ ds · q[r], dV[j] += Σ p · dOut[r] over the rows r of all heads that look at key j. A block has OWN_ROWS keys. */
template <int D>
DEVICE void backwardKeys(float* dK, float* dV, const float* mean, const float* dOut, const float* lse, const float* q, const float* k,
                         const float* v, int T, int heads, int kvHeads, int headDim) {
  constexpr int OWN = OWN_ROWS * D / 8, PASSING = FLASH_KEYS * D / 8;
  DYNAMIC_SHARED(uint4, keys);
  SHARED(float2, of, FLASH_KEYS);
  uint4 *values = keys + OWN, *queries = values + OWN, *gradients = queries + PASSING;
  const Part part = partOf(tilesOf(T), T, heads, kvHeads);
  const int first = part.tile * OWN_ROWS, own = threadIdx.x / 32 * 16, across = threadIdx.x % 4 * 2;
  const int group = part.rows.width, down = first + own + threadIdx.x % 32 / 4;
  const float scale = 1 / sqrtf(static_cast<float>(headDim));
  bringKeys<D, OWN_ROWS>(keys, k, part, first, T, headDim);
  bringKeys<D, OWN_ROWS>(values, v, part, first, T, headDim);
  float keySums[1][D / 8][4] = {}, valueSums[1][D / 8][4] = {};
  for (int from = first * group; from < part.count; from += FLASH_KEYS) {
    __syncthreads();  // the queries before have been read
    bringQueries<D, FLASH_KEYS>(queries, q, part, from, headDim);
    bringQueries<D, FLASH_KEYS>(gradients, dOut, part, from, headDim);
    if (threadIdx.x < FLASH_KEYS) of[threadIdx.x] = totalAndMean(lse, mean, part, from + threadIdx.x);
    __syncthreads();
    float p[1][FLASH_KEYS / 8][4] = {}, ds[1][FLASH_KEYS / 8][4] = {};
    addDots<Bf16s, D>(p, keys, own, queries);
    addDots<Bf16s, D>(ds, values, own, gradients);
#pragma unroll
    for (int j = 0; j < FLASH_KEYS / 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int r = 8 * j + across + i % 2;
        const bool seen = (down + i / 2 * 8) * group <= from + r;
        p[0][j][i] = seen ? exp2Fast(p[0][j][i] * (scale * LOG2_E) - of[r].x) : 0;
        ds[0][j][i] = p[0][j][i] * (ds[0][j][i] - of[r].y);
      }
    }
    addMixed<Bf16s, D>(valueSums, p, gradients);
    addMixed<Bf16s, D>(keySums, ds, queries);
  }
  for (int half = 0; half < 2; half++) {
    const int j = down + 8 * half;
    if (j >= T) continue;
    const size_t head = (part.keys + static_cast<size_t>(j) * kvHeads) * headDim;
    addRow<D>(dK + head, keySums, half, scale, headDim);
    addRow<D>(dV + head, valueSums, half, 1, headDim);
  }
}

#define FLASH_BACKWARD(D) \
  KERNEL __launch_bounds__(FLASH_THREADS, 2) \
      flash_backward_q_##D(float* dQ, const float* mean, const float* dOut, const float* lse, const float* q, const float* k, \
                           const float* v, int T, int heads, int kvHeads, int headDim) { \
    backwardQueries<D>(dQ, mean, dOut, lse, q, k, v, T, heads, kvHeads, headDim); \
  } \
  REGISTER_KERNEL(flash_backward_q_##D); \
  KERNEL __launch_bounds__(FLASH_THREADS, 2) \
      flash_backward_kv_##D(float* dK, float* dV, const float* mean, const float* dOut, const float* lse, const float* q, \
                            const float* k, const float* v, int T, int heads, int kvHeads, int headDim) { \
    backwardKeys<D>(dK, dV, mean, dOut, lse, q, k, v, T, heads, kvHeads, headDim); \
  } \
  REGISTER_KERNEL(flash_backward_kv_##D);
FOR_EACH_TRAINED_SIZE(FLASH_BACKWARD)
