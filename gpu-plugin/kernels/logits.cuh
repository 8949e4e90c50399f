#pragma once
#include "reduce.cuh"

/** log Σ exp(row), for all threads of the block. */
DEVICE double logSumExp(const float* row, int vocab) {
  float most = -INFINITY;
  for (int i = threadIdx.x; i < vocab; i += blockDim.x) most = fmaxf(most, row[i]);
  most = blockMax(most);
  double sum = 0;
  for (int i = threadIdx.x; i < vocab; i += blockDim.x) sum += expf(row[i] - most);
  return most + log(blockSum(sum));
}
