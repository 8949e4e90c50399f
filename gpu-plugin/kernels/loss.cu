#include "logits.cuh"

/** loss[i] = log Σⱼ exp(logits[i][j]) − logits[i][targets[i]];  logits (n, vocab), targets, loss (n). A block has a row. */
KERNEL cross_entropy(float* loss, const float* logits, const int* targets, int vocab) {
  const float* row = logits + static_cast<size_t>(blockIdx.x) * vocab;
  const double total = logSumExp(row, vocab);
  if (threadIdx.x == 0) loss[blockIdx.x] = static_cast<float>(total - row[targets[blockIdx.x]]);
}
REGISTER_KERNEL(cross_entropy);

/** The same, and logits become coef[i] · (softmax(logits[i]) − [j = targets[i]]);  coef (n) */
KERNEL cross_entropy_backward(float* loss, float* logits, const int* targets, const float* coef, int vocab) {
  float* row = logits + static_cast<size_t>(blockIdx.x) * vocab;
  const int target = targets[blockIdx.x];
  const double total = logSumExp(row, vocab);
  if (threadIdx.x == 0) loss[blockIdx.x] = static_cast<float>(total - row[target]);
  __syncthreads();  // the target's logit has been read
  const float c = coef[blockIdx.x];
  for (int i = threadIdx.x; i < vocab; i += blockDim.x) {
    row[i] = c * (expf(static_cast<float>(row[i] - total)) - (i == target ? 1.0f : 0.0f));
  }
}
REGISTER_KERNEL(cross_entropy_backward);
