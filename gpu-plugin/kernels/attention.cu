#include "attention.cuh"

/**
 * out[t][h] = Σⱼ softmaxⱼ(q[t][h] · k[j] / √headDim) v[j] over j ≤ positions[t] of slot slots[t] of the kv cache;  q, out (n, heads,
 * headDim). A block has a token (gridY) and a head (gridX), which looks at kv head ⌊(before + h) / group⌋.
 */
template <class F>
DEVICE void attention(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, const int* positions,
                      int heads, int kvHeads, int group, int before, int headDim, int capacity) {
  const int h = blockIdx.x, t = blockIdx.y;
  const size_t bytes = rowBytes<F>(headDim);
  const size_t head = (static_cast<size_t>(slots[t]) * kvHeads + (before + h) / group) * capacity;
  const size_t at = (static_cast<size_t>(t) * heads + h) * headDim;
  attend<F>(out + at, nullptr, q + at, keys + head * bytes, values + head * bytes, bytes, positions[t], headDim);
}

#define ATTENTION(dtype, Format) \
  KERNEL __launch_bounds__(ATTENTION_WARPS * 32) \
      attention_##dtype(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, \
                        const int* positions, int heads, int kvHeads, int group, int before, int headDim, int capacity) { \
    attention<Format>(out, q, keys, values, slots, positions, heads, kvHeads, group, before, headDim, capacity); \
  } \
  REGISTER_KERNEL(attention_##dtype);
FOR_EACH_CACHE_FORMAT(ATTENTION)
