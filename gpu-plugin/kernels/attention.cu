#include "formats.cuh"
#include "reduce.cuh"

// Causal attention over the kv cache with the running softmax of Dao et al. 2022, "FlashAttention": no scores are stored.

/** Warps of a block, which share the positions out, and numbers of a head that a lane has: heads of at most 256. */
constexpr int ATTENTION_WARPS = 4, HEAD_PARTS = 8;

/**
 * out[t][h] = Σⱼ softmaxⱼ(q[t][h] · k[j] / √headDim) v[j] over j ≤ positions[t] of slot slots[t];  q, out (n, heads, headDim).
 * A block has a token (gridY) and a head (gridX), which looks at kv head ⌊(before + h) / group⌋.
 */
template <class F>
DEVICE void attention(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, const int* positions,
                      int heads, int kvHeads, int group, int before, int headDim, int capacity) {
  SHARED(float, largest, ATTENTION_WARPS);
  SHARED(float, totals, ATTENTION_WARPS);
  SHARED(float, mixed, ATTENTION_WARPS * HEAD_PARTS * 32);
  const int h = blockIdx.x, t = blockIdx.y, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  const size_t bytes = rowBytes<F>(headDim);
  const size_t head = (static_cast<size_t>(slots[t]) * kvHeads + (before + h) / group) * capacity;
  const size_t at = (static_cast<size_t>(t) * heads + h) * headDim;
  const float scale = 1 / sqrtf(static_cast<float>(headDim));

  float query[HEAD_PARTS], sums[HEAD_PARTS];
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) {
    const int d = lane + 32 * p;
    query[p] = d < headDim ? q[at + d] * scale : 0;
    sums[p] = 0;
  }
  float most = -INFINITY, total = 0;
  for (int j = warp; j <= positions[t]; j += ATTENTION_WARPS) {
    const uint8_t* key = keys + (head + j) * bytes;
    const uint8_t* value = values + (head + j) * bytes;
    float score = 0;
#pragma unroll
    for (int p = 0; p < HEAD_PARTS; p++) {
      const int d = lane + 32 * p;
      if (d < headDim) score += query[p] * F::value(key, d);
    }
    score = warpSum(score);
    const float next = fmaxf(most, score);
    const float shrink = expf(most - next), weight = expf(score - next);
    total = total * shrink + weight;
#pragma unroll
    for (int p = 0; p < HEAD_PARTS; p++) {
      const int d = lane + 32 * p;
      if (d < headDim) sums[p] = sums[p] * shrink + weight * F::value(value, d);
    }
    most = next;
  }

  if (lane == 0) {
    largest[warp] = most;
    totals[warp] = total;
  }
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) mixed[(warp * HEAD_PARTS + p) * 32 + lane] = sums[p];
  __syncthreads();
  float overall = -INFINITY;
  for (int i = 0; i < ATTENTION_WARPS; i++) overall = fmaxf(overall, largest[i]);
  float sum = 0;
  for (int i = 0; i < ATTENTION_WARPS; i++) sum += totals[i] * expf(largest[i] - overall);
  for (int d = threadIdx.x; d < headDim; d += blockDim.x) {
    float number = 0;
    for (int i = 0; i < ATTENTION_WARPS; i++) number += mixed[i * HEAD_PARTS * 32 + d] * expf(largest[i] - overall);
    out[at + d] = number / sum;
  }
}

#define ATTENTION(dtype, Format) \
  KERNEL __launch_bounds__(ATTENTION_WARPS * 32) \
      attention_##dtype(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, \
                        const int* positions, int heads, int kvHeads, int group, int before, int headDim, int capacity) { \
    attention<Format>(out, q, keys, values, slots, positions, heads, kvHeads, group, before, headDim, capacity); \
  } \
  REGISTER_KERNEL(attention_##dtype);
FOR_EACH_CACHE_FORMAT(ATTENTION)
