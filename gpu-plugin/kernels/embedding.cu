#include "formats.cuh"
#include "reduce.cuh"

/**
 * out[i] = table[tokens[i]], or zeros for a token whose row is not among first … first + rows − 1, which this table holds;
 * out (n, cols). gridX tokens, gridY blocks of 256 values of one.
 */
template <class F>
DEVICE void embedding(float* out, const int* tokens, const uint8_t* table, int cols, int first, int rows) {
  const int i = blockIdx.y * blockDim.x + threadIdx.x, t = blockIdx.x, row = tokens[t] - first;
  if (i >= cols) return;
  out[static_cast<size_t>(t) * cols + i] = row >= 0 && row < rows ? valueOf<F>(table + row * rowBytes<F>(cols), i, cols) : 0;
}

#define EMBEDDING(dtype, Format) \
  KERNEL embedding_##dtype(float* out, const int* tokens, const uint8_t* table, int cols, int first, int rows) { \
    embedding<Format>(out, tokens, table, cols, first, rows); \
  } \
  REGISTER_KERNEL(embedding_##dtype);
FOR_EACH_FORMAT(EMBEDDING)

/**
 * dTable[tokens[i]] += dOut[i];  dOut (n, cols). A block has a token (gridX) and 256 columns, and adds for all places of its id,
 * in their order, if it is the first: no two blocks write the same row.
 */
KERNEL embedding_backward(float* dTable, const float* dOut, const int* tokens, int n, int cols) {
  const int first = blockIdx.x, id = tokens[first], column = blockIdx.y * blockDim.x + threadIdx.x;
  int before = 0;
  for (int i = threadIdx.x; i < first; i += blockDim.x) before += tokens[i] == id;
  if (blockSum(before) > 0 || column >= cols) return;
  float sum = 0;
  for (int i = first; i < n; i++) {
    if (tokens[i] == id) sum += dOut[static_cast<size_t>(i) * cols + column];
  }
  dTable[static_cast<size_t>(id) * cols + column] += sum;
}
REGISTER_KERNEL(embedding_backward);
