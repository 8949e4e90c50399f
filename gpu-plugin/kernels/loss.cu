#include "logits.cuh"

/** loss[i] = log Σⱼ exp(logits[i][j]) − logits[i][targets[i]];  logits (n, vocab), targets, loss (n). A block has a row. */
KERNEL cross_entropy(float* loss, const float* logits, const int* targets, int vocab) {
  const float* row = logits + static_cast<size_t>(blockIdx.x) * vocab;
  const double total = logSumExp(row, vocab);
  if (threadIdx.x == 0) loss[blockIdx.x] = static_cast<float>(total - row[targets[blockIdx.x]]);
}
REGISTER_KERNEL(cross_entropy);
