#include "gemm.cuh"

// a (m, depth) · b (n, depth)ᵀ, a (m, depth) · b (depth, n), a (depth, m)ᵀ · b (depth, n): n and t say how a and b lie.

template <bool TURNED>
using LargeLeft = Copied<LargeTile::M, LargeTile::THREADS, TURNED>;
template <bool TURNED>
using LargeRight = Copied<LargeTile::N, LargeTile::THREADS, TURNED>;

GEMM(gemm_nt_bf16, LargeTile, Bf16s, LargeLeft<false>, LargeRight<false>)
GEMM(gemm_nt_f16, LargeTile, Halves, LargeLeft<false>, LargeRight<false>)
GEMM(gemm_nn_bf16, LargeTile, Bf16s, LargeLeft<false>, LargeRight<true>)
GEMM(gemm_tn_bf16, LargeTile, Bf16s, LargeLeft<true>, LargeRight<true>)

/** out (m, n), rows `stride` apart, = or += scales[i] · the sum of the parts (count, m, n), in their order;  scales (m) or none */
KERNEL gemm_sum(float* out, const float* parts, const float* scales, int count, int m, int n, int stride, int add) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= m * n) return;
  float sum = 0;
  for (int part = 0; part < count; part++) sum += parts[static_cast<size_t>(part) * m * n + i];
  if (scales) sum *= scales[i / n];
  float* to = out + static_cast<size_t>(i / n) * stride + i % n;
  *to = add ? *to + sum : sum;
}
REGISTER_KERNEL(gemm_sum);
