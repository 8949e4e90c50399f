#include "cache.cuh"

/** cache[slots[t]][h][positions[t]] = x[t][h];  x (n, kvHeads, headDim). A thread has a block of values; gridY tokens. */
template <class F>
DEVICE void append(uint8_t* cache, const float* x, const int* slots, const int* positions, int kvHeads, int headDim, int capacity) {
  const int blocks = headDim / F::VALUES;
  const int at = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
  if (at >= kvHeads * blocks) return;
  const int h = at / blocks, b = at % blocks;
  const float* from = x + (static_cast<size_t>(t) * kvHeads + h) * headDim + b * F::VALUES;
  putBlock(F(), cacheBlock<F>(cache, {kvHeads, headDim, capacity}, slots[t], h, positions[t], b), from);
}

#define APPEND(dtype, Format) \
  KERNEL append_##dtype(uint8_t* cache, const float* x, const int* slots, const int* positions, int kvHeads, int headDim, \
                        int capacity) { \
    append<Format>(cache, x, slots, positions, kvHeads, headDim, capacity); \
  } \
  REGISTER_KERNEL(append_##dtype);
FOR_EACH_CACHE_FORMAT(APPEND)
