// Causal attention with the running softmax of Dao et al. 2022, "FlashAttention": no scores are stored.
#pragma once
#include "formats.cuh"
#include "reduce.cuh"

/** Warps of a block, which share the positions out, and numbers of a head that a lane has: heads of at most 256. */
constexpr int ATTENTION_WARPS = 4, HEAD_PARTS = 8;

/** Each lane's numbers of a head: lane, lane + 32, …; zeros beyond its end. */
DEVICE void loadHead(float part[HEAD_PARTS], const float* head, int headDim, float scale = 1) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) part[p] = lane + 32 * p < headDim ? head[lane + 32 * p] * scale : 0;
}

/** The product of two heads, for all lanes. */
DEVICE float dotHeads(const float a[HEAD_PARTS], const float b[HEAD_PARTS]) {
  float sum = 0;
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) sum += a[p] * b[p];
  return warpSum(sum);
}

/**
 * out = Σⱼ softmaxⱼ(q · k[j] / √headDim) v[j] over j ≤ last, and lse = log Σⱼ exp of that, unless it is null;  q, out (headDim),
 * keys and values rows of F that are `stride` bytes apart. By all threads of a block of ATTENTION_WARPS.
 */
template <class F>
DEVICE void attend(float* out, float* lse, const float* q, const uint8_t* keys, const uint8_t* values, size_t stride, int last,
                   int headDim) {
  SHARED(float, largest, ATTENTION_WARPS);
  SHARED(float, totals, ATTENTION_WARPS);
  SHARED(float, mixed, ATTENTION_WARPS * HEAD_PARTS * 32);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  float query[HEAD_PARTS], sums[HEAD_PARTS] = {};
  loadHead(query, q, headDim, 1 / sqrtf(static_cast<float>(headDim)));
  float most = -INFINITY, total = 0;
  for (int j = warp; j <= last; j += ATTENTION_WARPS) {
    const uint8_t* key = keys + j * stride;
    const uint8_t* value = values + j * stride;
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
    out[d] = number / sum;
  }
  if (lse != nullptr && threadIdx.x == 0) *lse = overall + logf(sum);
}
