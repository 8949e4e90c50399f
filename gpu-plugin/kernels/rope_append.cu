#include "cache.cuh"
#include "rope.cuh"

/**
 * Turns q (n, heads, headDim) in place; puts k, turned, and v (n, kvHeads, headDim) into the caches. A thread has a pair of q, or what is
 * stored together of k or v: gridX threads of a token, gridY tokens.
 */
template <class F>
DEVICE void ropeAppend(float* q, const float* k, const float* v, uint8_t* keys, uint8_t* values, const int* slots, const int* positions,
                       const float* table, int heads, const CacheShape& shape) {
  constexpr int EACH = F::VALUES > 2 ? F::VALUES : 2;
  const int t = blockIdx.y, half = shape.headDim / 2, position = positions[t];
  const int pairs = heads * half, runs = shape.headDim / EACH, stored = shape.kvHeads * runs;
  const float* turns = turnsOf(table, position, half);
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < pairs) {
    float2* pair = reinterpret_cast<float2*>(q) + static_cast<size_t>(t) * pairs + at;
    *pair = turned(pair->x, pair->y, turns + 2 * (at % half), 1);
    return;
  }
  at -= pairs;
  if (at >= 2 * stored) return;
  const bool isKey = at < stored;
  if (!isKey) at -= stored;
  const int h = at / runs, first = at % runs * EACH;
  const float* from = (isKey ? k : v) + (static_cast<size_t>(t) * shape.kvHeads + h) * shape.headDim + first;
  float numbers[EACH];
#pragma unroll
  for (int i = 0; i < EACH; i += 2) {
    const float2 pair = isKey ? turned(from[i], from[i + 1], turns + first + i, 1) : float2{from[i], from[i + 1]};
    numbers[i] = pair.x;
    numbers[i + 1] = pair.y;
  }
#pragma unroll
  for (int i = 0; i < EACH; i += F::VALUES) {
    uint8_t* to = cacheBlock<F>(isKey ? keys : values, shape, slots[t], h, position, (first + i) / F::VALUES);
    putBlock(F(), to, numbers + i);
  }
}

#define ROPE_APPEND(dtype, Format) \
  KERNEL rope_append_##dtype(float* q, const float* k, const float* v, uint8_t* keys, uint8_t* values, const int* slots, \
                             const int* positions, const float* table, int heads, int kvHeads, int headDim, int capacity) { \
    ropeAppend<Format>(q, k, v, keys, values, slots, positions, table, heads, {kvHeads, headDim, capacity}); \
  } \
  REGISTER_KERNEL(rope_append_##dtype);
FOR_EACH_CACHE_FORMAT(ROPE_APPEND)
