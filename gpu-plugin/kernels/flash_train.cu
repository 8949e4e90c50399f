#include "flash_train.cuh"

template <int D>
DEVICE void trainForward(float* out, float* lse, const float* q, const float* k, const float* v, int T, int heads, int kvHeads,
                         int headDim) {
  DYNAMIC_SHARED(uint4, shared);
  static_assert(FLASH_ROWS<F32, D> == OWN_ROWS, "");
  const int tiles = tilesOf(T * (heads / kvHeads));
  const Part part = partOf(tiles, T, heads, kvHeads);
  // the tiles with most keys first
  const int first = (tiles - 1 - part.tile) * OWN_ROWS;
  bringQueries<D, OWN_ROWS>(shared, q, part, first, headDim);
  const uint8_t* keys = reinterpret_cast<const uint8_t*>(k + part.keys * headDim);
  const uint8_t* values = reinterpret_cast<const uint8_t*>(v + part.keys * headDim);
  const size_t stride = sizeof(float) * kvHeads * headDim;
  flashForward<Bf16s, F32, D>(out + part.queries * headDim, lse + part.queries, shared, part.rows, first, 0, part.count, 0, keys, values,
                              stride, headDim);
}

#define FLASH_FORWARD(D) \
  KERNEL __launch_bounds__(FLASH_THREADS, 2) flash_forward_##D(float* out, float* lse, const float* q, const float* k, const float* v, \
                                                               int T, int heads, int kvHeads, int headDim) { \
    trainForward<D>(out, lse, q, k, v, T, heads, kvHeads, headDim); \
  } \
  REGISTER_KERNEL(flash_forward_##D);
FOR_EACH_TRAINED_SIZE(FLASH_FORWARD)
