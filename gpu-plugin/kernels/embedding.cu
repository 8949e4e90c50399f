#include "formats.cuh"

/** out[i] = table[tokens[i]];  out (n, cols). A block of the grid has 256 values of a row, gridY the rows. */
template <class F>
DEVICE void embedding(float* out, const int* tokens, const uint8_t* table, int cols) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
  if (i >= cols) return;
  out[static_cast<size_t>(t) * cols + i] = F::value(table + tokens[t] * rowBytes<F>(cols), i);
}

#define EMBEDDING(dtype, Format) \
  KERNEL embedding_##dtype(float* out, const int* tokens, const uint8_t* table, int cols) { \
    embedding<Format>(out, tokens, table, cols); \
  } \
  REGISTER_KERNEL(embedding_##dtype);
FOR_EACH_FORMAT(EMBEDDING)
