#include "logits.cuh"

// Candidates in order: logits are sorted as 64-bit keys, the falling logit above the rising id.

/** Smaller for larger logits; equal for 0 and −0; smallest for NaN, which must not go unnoticed. */
DEVICE uint32_t fallingKey(float logit) {
  if (logit != logit) return 0;
  const uint32_t bits = bitsOf(logit + 0.0f);
  return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

DEVICE int idOf(unsigned long long key) { return static_cast<int>(key & 0xffffffffu); }

DEVICE unsigned long long keyOf(const float* logits, int i) {
  return static_cast<unsigned long long>(fallingKey(logits[i])) << 32 | static_cast<uint32_t>(i);
}

/** Candidates that a block sorts. */
constexpr int SORTED_RUN = 2048;
/** The key of no candidate, behind all others. */
constexpr unsigned long long NOBODY = ~0ull;

/** runs (gridX, SORTED_RUN) ← each sorted, NOBODY behind the vocab candidates. The bitonic network of Batcher 1968. */
KERNEL sort_runs(unsigned long long* runs, const float* logits, int vocab) {
  SHARED(unsigned long long, keys, SORTED_RUN);
  const int first = blockIdx.x * SORTED_RUN;
  for (int i = threadIdx.x; i < SORTED_RUN; i += blockDim.x) keys[i] = first + i < vocab ? keyOf(logits, first + i) : NOBODY;
  for (int run = 2; run <= SORTED_RUN; run *= 2) {
    for (int apart = run / 2; apart > 0; apart /= 2) {
      __syncthreads();
      for (int pair = threadIdx.x; pair < SORTED_RUN / 2; pair += blockDim.x) {
        const int a = 2 * pair - (pair & (apart - 1)), b = a + apart;
        const unsigned long long low = keys[a], high = keys[b];
        if ((low > high) != ((a & run) == 0)) continue;
        keys[a] = high;
        keys[b] = low;
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < SORTED_RUN; i += blockDim.x) runs[first + i] = keys[i];
}
REGISTER_KERNEL(sort_runs);

/** keys (vocab) ← the runs of sort_runs merged: a candidate's place is how many stand before it in each run. A thread has a candidate. */
KERNEL merge_runs(unsigned long long* keys, const unsigned long long* runs, int count) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= count * SORTED_RUN || runs[at] == NOBODY) return;
  const unsigned long long key = runs[at];
  int place = 0;
  for (int r = 0; r < count; r++) {
    const unsigned long long* run = runs + r * SORTED_RUN;
    int before = 0;
#pragma unroll
    for (int step = SORTED_RUN / 2; step > 0; step /= 2)
      if (run[before + step - 1] < key) before += step;
    place += before + (run[before] < key);
  }
  keys[place] = key;
}
REGISTER_KERNEL(merge_runs);

/** id[0] = the first candidate, or −1 if its logit is not finite. One block. */
KERNEL sample_first(int* id, const float* logits, int vocab) {
  SHARED(unsigned long long, firsts, 32);
  unsigned long long first = NOBODY;
  for (int i = threadIdx.x; i < vocab; i += blockDim.x) first = min(first, keyOf(logits, i));
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) first = min(first, __shfl_xor_sync(ALL_LANES, first, by));
  if (threadIdx.x % 32 == 0) firsts[threadIdx.x / 32] = first;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int w = 1; w < static_cast<int>(blockDim.x) / 32; w++) first = min(first, firsts[w]);
  *id = fabsf(logits[idOf(first)]) < INFINITY ? idOf(first) : -1;
}
REGISTER_KERNEL(sample_first);

/** The k first candidates and their log-probabilities;  ids, logprobs (k), keys sorted. One block. */
KERNEL top_logprobs(int* ids, float* logprobs, const unsigned long long* keys, const float* logits, int vocab, int k) {
  const double total = logSumExp(logits, vocab);
  for (int i = threadIdx.x; i < k; i += blockDim.x) {
    ids[i] = idOf(keys[i]);
    logprobs[i] = static_cast<float>(logits[ids[i]] - total);
  }
}
REGISTER_KERNEL(top_logprobs);

/** logits[ids[i]] += values[i];  ids, values (n) */
KERNEL add_bias(float* logits, const int* ids, const float* values, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) logits[ids[i]] += values[i];
}
REGISTER_KERNEL(add_bias);

/** The penalties of host/backend.ts;  ids, counts (n), the ids distinct */
KERNEL penalize(float* logits, const int* ids, const int* counts, int n, float repeat, float frequency, float presence) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float logit = logits[ids[i]];
  const float repeated = logit > 0 ? logit / repeat : logit * repeat;
  logits[ids[i]] = repeated - frequency * counts[i] - presence;
}
REGISTER_KERNEL(penalize);

/** The sum of the values of all threads before this one; `total` is that of all. At most 1,024 threads. */
DEVICE double sumBefore(double value, double& total) {
  SHARED(double, sums, 1024);
  const int i = threadIdx.x, count = blockDim.x;
  double before = 0;
  sums[i] = value;
  for (int by = 1; by < count; by *= 2) {
    __syncthreads();
    const double more = i >= by ? sums[i - by] : 0;
    __syncthreads();
    sums[i] += more;
  }
  __syncthreads();
  if (i > 0) before = sums[i - 1];
  total = sums[count - 1];
  __syncthreads();
  return before;
}

/** The least of all threads' numbers, for all threads. */
DEVICE int least(int value) {
  SHARED(int, found, 1);
  __syncthreads();
  if (threadIdx.x == 0) *found = value;
  __syncthreads();
  atomicMin(found, value);
  __syncthreads();
  return *found;
}

/**
 * id[0] = a draw as host/backend.ts defines it, temperature not 0, from sorted keys. One block; each thread has a run of candidates that follow one
 * another, so that running sums are those of one pass in order but for rounding.
 */
KERNEL sample(int* id, const unsigned long long* keys, const float* logits, int vocab, float temperature, int topK, float topP,
              float minP, double u) {
  const float first = logits[idOf(keys[0])];
  if (!(fabsf(first) < INFINITY)) {
    if (threadIdx.x == 0) *id = -1;
    return;
  }
  const int candidates = topK > 0 ? min(topK, vocab) : vocab;
  const int run = (candidates + blockDim.x - 1) / blockDim.x;
  const int from = min(candidates, static_cast<int>(threadIdx.x) * run), to = min(candidates, from + run);
  const auto weight = [&](int i) { return expf((logits[idOf(keys[i])] - first) / temperature); };

  int limit = candidates;  // candidates before the first that is too small
  for (int i = to - 1; i >= from; i--)
    if (i > 0 && weight(i) < minP) limit = i;
  limit = least(limit);

  double mass = 0, total;
  for (int i = from; i < min(to, limit); i++) mass += weight(i);
  const double before = sumBefore(mass, total);
  /** The first candidate whose running sum `reaches`, or the last. */
  const auto firstThat = [&](auto reaches) {
    int found = limit - 1;
    double running = before;
    for (int i = from; i < min(to, limit); i++) {
      running += weight(i);
      if (!reaches(running)) continue;
      found = i;
      break;
    }
    return least(found);
  };
  if (topP < 1) {
    const double enough = topP * total;
    limit = firstThat([&](double running) { return running >= enough; }) + 1;
    double kept = 0;
    for (int i = from; i < min(to, limit); i++) kept += weight(i);
    sumBefore(kept, total);
  }
  const double target = u * total;
  const int drawn = firstThat([&](double running) { return running > target; });
  if (threadIdx.x == 0) *id = idOf(keys[drawn]);
}
REGISTER_KERNEL(sample);
