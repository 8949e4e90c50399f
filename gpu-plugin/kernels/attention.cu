#include "attention.cuh"
#include "runs.cuh"

// out[t][h] = Σⱼ softmaxⱼ(q[t][h] · k[j] / √headDim) v[j] over j ≤ positions[t] of slot slots[t] of the kv cache;  q, out (n, heads,
// headDim). A block has a head (gridX), which looks at kv head ⌊(before + h) / group⌋, and a token, or a part of its positions (gridY).
// Tokens in tiles are left to flash.cu.

struct AttentionShape {
  int heads, kvHeads, group, before, headDim, capacity;
};

/** Where the rows of a token's head begin in the caches. */
template <class F>
DEVICE size_t headAt(const AttentionShape& s, int slot, int h) {
  return (static_cast<size_t>(slot) * s.kvHeads + (s.before + h) / s.group) * s.capacity * storedBytes<F>(s.headDim);
}

template <class F>
DEVICE void attention(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, const int* positions,
                      const AttentionShape& s) {
  const int h = blockIdx.x, t = blockIdx.y;
  if (inTiles(slots, positions, t, gridDim.y, s.headDim)) return;
  const size_t head = headAt<F>(s, slots[t], h), at = (static_cast<size_t>(t) * s.heads + h) * s.headDim;
  float* sums;
  const Softmax all = attendAny<F>(sums, q + at, keys + head, values + head, storedBytes<F>(s.headDim), 0, positions[t] + 1, s.headDim);
  writeAttention(out + at, nullptr, sums, all, s.headDim);
}

/** Positions that a part has at least. */
constexpr int PART = 64;

/** parts (n, heads, splits, headDim + 2) = the sums, the largest score and the total of each part of a token's positions. */
template <class F>
DEVICE void attentionSplit(float* parts, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots,
                           const int* positions, int splits, const AttentionShape& s) {
  const int h = blockIdx.x, t = blockIdx.y / splits, part = blockIdx.y % splits;
  if (inTiles(slots, positions, t, gridDim.y / splits, s.headDim)) return;
  const int count = positions[t] + 1, each = max(PART, (count + splits - 1) / splits), first = part * each;
  float* to = parts + ((static_cast<size_t>(t) * s.heads + h) * splits + part) * (s.headDim + 2);
  Softmax all = {-INFINITY, 0};
  if (first < count) {
    const size_t head = headAt<F>(s, slots[t], h);
    float* sums;
    all = attendAny<F>(sums, q + (static_cast<size_t>(t) * s.heads + h) * s.headDim, keys + head, values + head,
                       storedBytes<F>(s.headDim), first, min(count, first + each), s.headDim);
    for (int d = threadIdx.x; d < s.headDim; d += blockDim.x) to[d] = sums[d];
  }
  if (threadIdx.x != 0) return;
  to[s.headDim] = all.largest;
  to[s.headDim + 1] = all.total;
}

/** out[t][h] = the parts of attention_split together; gridX heads, gridY tokens. */
KERNEL attention_combine(float* out, const float* parts, int splits, int heads, int headDim) {
  const size_t at = static_cast<size_t>(blockIdx.y) * heads + blockIdx.x;
  const float* own = parts + at * splits * (headDim + 2);
  float largest = -INFINITY, total = 0;
  for (int i = 0; i < splits; i++) largest = fmaxf(largest, own[i * (headDim + 2) + headDim]);
  for (int i = 0; i < splits; i++) total += own[i * (headDim + 2) + headDim + 1] * expf(own[i * (headDim + 2) + headDim] - largest);
  for (int d = threadIdx.x; d < headDim; d += blockDim.x) {
    float sum = 0;
    for (int i = 0; i < splits; i++) {
      const float* part = own + i * (headDim + 2);
      // a part without positions has no sums
      if (part[headDim + 1] > 0) sum += part[d] * expf(part[headDim] - largest);
    }
    out[at * headDim + d] = sum / total;
  }
}
REGISTER_KERNEL(attention_combine);

#define ATTENTION(dtype, Format) \
  KERNEL __launch_bounds__(ATTENTION_WARPS * 32, 2) \
      attention_##dtype(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, \
                        const int* positions, int heads, int kvHeads, int group, int before, int headDim, int capacity) { \
    attention<Format>(out, q, keys, values, slots, positions, {heads, kvHeads, group, before, headDim, capacity}); \
  } \
  REGISTER_KERNEL(attention_##dtype); \
  KERNEL __launch_bounds__(ATTENTION_WARPS * 32, 2) \
      attention_split_##dtype(float* parts, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, \
                              const int* positions, int splits, int heads, int kvHeads, int group, int before, int headDim, \
                              int capacity) { \
    attentionSplit<Format>(parts, q, keys, values, slots, positions, splits, {heads, kvHeads, group, before, headDim, capacity}); \
  } \
  REGISTER_KERNEL(attention_split_##dtype);
FOR_EACH_CACHE_FORMAT(ATTENTION)
