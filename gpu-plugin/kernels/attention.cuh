// Causal attention with the running softmax of Dao et al. 2022, "FlashAttention": no scores are stored.
#pragma once
#include "formats.cuh"
#include "reduce.cuh"

/** Warps of a block, which share the positions out. */
constexpr int ATTENTION_WARPS = 4;
/** Numbers that a lane loads at once; eight lanes have a position between them, so that a warp has four. */
constexpr int RUN = 8, LANES_TOGETHER = 8;

/** Eight numbers of a head as they are stored, from number i on; numbers beyond its end are whatever is there. */
template <class F>
struct Stored;

template <>
struct Stored<F32> {
  uint4 low, high;
  DEVICE Stored load(const uint8_t* row, int i) {
    const auto* p = reinterpret_cast<const uint4*>(row + 4 * i);
    return {p[0], p[1]};
  }
  DEVICE void numbers(float (&x)[RUN], const Stored& s) { memcpy(x, &s, sizeof s); }
};

template <>
struct Stored<F16> {
  uint4 halves;
  DEVICE Stored load(const uint8_t* row, int i) { return {*reinterpret_cast<const uint4*>(row + 2 * i)}; }
  DEVICE void numbers(float (&x)[RUN], const Stored& s) {
    const uint32_t words[4] = {s.halves.x, s.halves.y, s.halves.z, s.halves.w};
#pragma unroll
    for (int i = 0; i < RUN; i++) x[i] = halfToFloat(static_cast<uint16_t>(words[i / 2] >> (16 * (i & 1))));
  }
};

template <>
struct Stored<Q8_0> {
  uint32_t low, high;
  uint16_t d;
  DEVICE Stored load(const uint8_t* row, int i) {
    const uint8_t* block = row + storedBytes<Q8_0>(i);
    return {load32(block + 2 + (i & 31)), load32(block + 6 + (i & 31)), load16(block)};
  }
  DEVICE void numbers(float (&x)[RUN], const Stored& s) {
    const float d = halfToFloat(s.d);
#pragma unroll
    for (int i = 0; i < RUN; i++) x[i] = d * static_cast<int8_t>((i < 4 ? s.low : s.high) >> (8 * (i & 3)));
  }
};

/** Numbers i … i + 7 of a head of headDim; zeros beyond its end. Heads of whole runs are aligned for whole loads. */
template <class F>
DEVICE Stored<F> loadRun(const uint8_t* row, int i, int headDim) {
  if (headDim % RUN == 0 && i < headDim) return Stored<F>::load(row, i);
  Stored<F> run = {};
  if constexpr (F::VALUES == 1) {
#pragma unroll
    for (int j = 0; j < RUN; j++)
      if (i + j < headDim) memcpy(reinterpret_cast<uint8_t*>(&run) + j * F::BYTES, row + (i + j) * F::BYTES, F::BYTES);
  }
  return run;
}

/** The sum of eight lanes that are together, for each of them. */
DEVICE float sumTogether(float v) {
#pragma unroll
  for (int by = LANES_TOGETHER / 2; by > 0; by >>= 1) v += __shfl_xor_sync(ALL_LANES, v, by);
  return v;
}

/** What is known of some positions: the largest score, Σ exp(score − largest), and the values' sum with these weights. */
struct Softmax {
  float largest, total;
};

/**
 * sums (headDim) = Σⱼ exp(sⱼ − largest) v[j] with sⱼ = q · k[j] / √headDim, over first ≤ j < end; by a block of ATTENTION_WARPS, whose
 * threads then have the same Softmax and, in shared memory, the sums.  q (headDim), keys and values rows of F `stride` bytes apart, RUNS
 * · 64 ≥ headDim.
 */
template <class F, int RUNS>
DEVICE Softmax attend(float*& sums, const float* q, const uint8_t* keys, const uint8_t* values, size_t stride, int first, int end,
                      int headDim) {
  SHARED(float, largests, ATTENTION_WARPS);
  SHARED(float, totals, ATTENTION_WARPS);
  SHARED(float, mixed, ATTENTION_WARPS * RUNS * 64);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, place = lane / LANES_TOGETHER, own = lane % LANES_TOGETHER * RUN;
  const float scale = 1 / sqrtf(static_cast<float>(headDim));
  float query[RUNS][RUN], sum[RUNS][RUN] = {};
#pragma unroll
  for (int r = 0; r < RUNS; r++)
#pragma unroll
    for (int i = 0; i < RUN; i++) query[r][i] = own + 64 * r + i < headDim ? q[own + 64 * r + i] * scale : 0;
  float most = -INFINITY, total = 0;
  for (int from = first + 4 * warp; from < end; from += 4 * ATTENTION_WARPS) {
    const bool valid = from + place < end;
    const size_t row = (valid ? from + place : from) * stride;
    Stored<F> key[RUNS], value[RUNS];
#pragma unroll
    for (int r = 0; r < RUNS; r++) {
      key[r] = loadRun<F>(keys + row, own + 64 * r, headDim);
      // large heads have no registers for both at once
      if (RUNS <= 2) value[r] = loadRun<F>(values + row, own + 64 * r, headDim);
    }
    float score = 0, x[RUN];
#pragma unroll
    for (int r = 0; r < RUNS; r++) {
      Stored<F>::numbers(x, key[r]);
#pragma unroll
      for (int i = 0; i < RUN; i++) score += query[r][i] * x[i];
    }
    score = sumTogether(score);
    // a score that is NaN is passed over here, and shows in its weight
    const float next = valid ? fmaxf(most, score) : most;
    const float shrink = next == most ? 1 : expf(most - next), weight = valid ? expf(score - next) : 0;
    total = total * shrink + weight;
#pragma unroll
    for (int r = 0; r < RUNS; r++) {
      if (RUNS > 2) value[r] = loadRun<F>(values + row, own + 64 * r, headDim);
      Stored<F>::numbers(x, value[r]);
#pragma unroll
      for (int i = 0; i < RUN; i++) sum[r][i] = sum[r][i] * shrink + weight * x[i];
    }
    most = next;
  }

  // the warp's four places, then the warps
  float overall = most;
#pragma unroll
  for (int by = 16; by >= LANES_TOGETHER; by >>= 1) overall = fmaxf(overall, __shfl_xor_sync(ALL_LANES, overall, by));
  const float share = most == -INFINITY ? 0 : expf(most - overall);
  total *= share;
#pragma unroll
  for (int by = 16; by >= LANES_TOGETHER; by >>= 1) total += __shfl_xor_sync(ALL_LANES, total, by);
#pragma unroll
  for (int r = 0; r < RUNS; r++) {
#pragma unroll
    for (int i = 0; i < RUN; i++) {
      float v = sum[r][i] * share;
#pragma unroll
      for (int by = 16; by >= LANES_TOGETHER; by >>= 1) v += __shfl_xor_sync(ALL_LANES, v, by);
      if (place == 0) mixed[warp * RUNS * 64 + own + 64 * r + i] = v;
    }
  }
  if (lane == 0) {
    largests[warp] = overall;
    totals[warp] = total;
  }
  __syncthreads();
  Softmax all = {-INFINITY, 0};
  for (int w = 0; w < ATTENTION_WARPS; w++) all.largest = fmaxf(all.largest, largests[w]);
  float shares[ATTENTION_WARPS];
#pragma unroll
  for (int w = 0; w < ATTENTION_WARPS; w++) {
    shares[w] = largests[w] == -INFINITY ? 0 : expf(largests[w] - all.largest);
    all.total += totals[w] * shares[w];
  }
  // each thread puts together the numbers that it alone reads
  for (int d = threadIdx.x; d < headDim; d += blockDim.x) {
    float number = 0;
#pragma unroll
    for (int w = 0; w < ATTENTION_WARPS; w++) number += mixed[w * RUNS * 64 + d] * shares[w];
    mixed[d] = number;
  }
  sums = mixed;
  return all;
}

/** out (headDim) = sums / total, by the threads that have put the sums together; lse = log Σ exp(s), unless it is null. */
DEVICE void writeAttention(float* out, float* lse, const float* sums, const Softmax& all, int headDim) {
  for (int d = threadIdx.x; d < headDim; d += blockDim.x) out[d] = sums[d] / all.total;
  if (lse != nullptr && threadIdx.x == 0) *lse = all.largest + logf(all.total);
}

/** `attend` for heads of any size up to 256. */
template <class F>
DEVICE Softmax attendAny(float*& sums, const float* q, const uint8_t* keys, const uint8_t* values, size_t stride, int first, int end,
                         int headDim) {
  if (headDim <= 64) return attend<F, 1>(sums, q, keys, values, stride, first, end, headDim);
  if (headDim <= 128) return attend<F, 2>(sums, q, keys, values, stride, first, end, headDim);
  return attend<F, 4>(sums, q, keys, values, stride, first, end, headDim);
}
