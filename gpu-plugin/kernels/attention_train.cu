#include "attention.cuh"

// Attention inside each of B sequences of T tokens, without a cache, forward and backward;  q, out (B, T, heads, headDim), k, v
// (B, T, kvHeads, headDim), lse, mean (B, T, heads). gridX tokens of all sequences. No sum is made by more than one block.

/** Numbers of a head that a lane has: heads of at most 256. */
constexpr int HEAD_PARTS = 8;

/** Each lane's numbers of a head: lane, lane + 32, …; zeros beyond its end. */
DEVICE void loadHead(float part[HEAD_PARTS], const float* head, int headDim, float scale = 1) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) part[p] = lane + 32 * p < headDim ? head[lane + 32 * p] * scale : 0;
}

/** The product of two heads, for all lanes. */
DEVICE float dotHeads(const float a[HEAD_PARTS], const float b[HEAD_PARTS]) {
  float sum = 0;
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) sum += a[p] * b[p];
  return warpSum(sum);
}

/** A head of a token, and where the keys of its sequence begin. */
struct Place {
  size_t row, at, keys;
  int t;
};

DEVICE Place placeOf(int T, int heads, int kvHeads, int headDim) {
  const int h = blockIdx.y, token = blockIdx.x, t = token % T;
  const size_t row = static_cast<size_t>(token) * heads + h;
  return {row, row * headDim, (static_cast<size_t>(token - t) * kvHeads + h * kvHeads / heads) * headDim, t};
}

/** The warps' parts of a head, added in their order to what is there. */
DEVICE void addHeads(float* head, const float part[HEAD_PARTS], int headDim) {
  SHARED(float, parts, ATTENTION_WARPS * HEAD_PARTS * 32);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  __syncthreads();  // what was added before has been read
#pragma unroll
  for (int p = 0; p < HEAD_PARTS; p++) parts[(warp * HEAD_PARTS + p) * 32 + lane] = part[p];
  __syncthreads();
  for (int d = threadIdx.x; d < headDim; d += blockDim.x) {
    float sum = 0;
    for (int i = 0; i < ATTENTION_WARPS; i++) sum += parts[i * HEAD_PARTS * 32 + d];
    head[d] += sum;
  }
}

/** gridY heads. */
KERNEL __launch_bounds__(ATTENTION_WARPS * 32)
    attention_forward(float* out, float* lse, const float* q, const float* k, const float* v, int T, int heads, int kvHeads, int headDim) {
  const Place p = placeOf(T, heads, kvHeads, headDim);
  const uint8_t* keys = reinterpret_cast<const uint8_t*>(k + p.keys);
  const uint8_t* values = reinterpret_cast<const uint8_t*>(v + p.keys);
  const size_t stride = sizeof(float) * kvHeads * headDim;
  float* sums;
  const Softmax all = attendAny<F32>(sums, q + p.at, keys, values, stride, 0, p.t + 1, headDim);
  writeAttention(out + p.at, lse + p.row, sums, all, headDim);
}
REGISTER_KERNEL(attention_forward);

/** dQ[t] += Σⱼ ds · k[j] with ds = p · (dOut · v[j] − mean) / √headDim, p = exp(s − lse), and mean = dOut · out, which is kept. gridY heads. */
KERNEL __launch_bounds__(ATTENTION_WARPS * 32)
    attention_backward_q(float* dQ, float* mean, const float* dOut, const float* out, const float* lse, const float* q, const float* k,
                         const float* v, int T, int heads, int kvHeads, int headDim) {
  const Place place = placeOf(T, heads, kvHeads, headDim);
  const size_t stride = static_cast<size_t>(kvHeads) * headDim;
  const float scale = 1 / sqrtf(static_cast<float>(headDim)), total = lse[place.row];
  float query[HEAD_PARTS], gradient[HEAD_PARTS], other[HEAD_PARTS], sums[HEAD_PARTS] = {};
  loadHead(query, q + place.at, headDim);
  loadHead(gradient, dOut + place.at, headDim);
  loadHead(other, out + place.at, headDim);
  const float own = dotHeads(gradient, other);
  for (int j = threadIdx.x >> 5; j <= place.t; j += ATTENTION_WARPS) {
    loadHead(other, v + place.keys + j * stride, headDim);
    const float along = dotHeads(gradient, other) - own;
    loadHead(other, k + place.keys + j * stride, headDim);
    const float ds = expf(dotHeads(query, other) * scale - total) * along * scale;
#pragma unroll
    for (int p = 0; p < HEAD_PARTS; p++) sums[p] += ds * other[p];
  }
  addHeads(dQ + place.at, sums, headDim);
  if (threadIdx.x == 0) mean[place.row] = own;
}
REGISTER_KERNEL(attention_backward_q);

/** dK[j] += Σ ds · q[t], dV[j] += Σ p · dOut[t] over t ≥ j and the heads that look at the kv head. gridY kv heads. */
KERNEL __launch_bounds__(ATTENTION_WARPS * 32)
    attention_backward_kv(float* dK, float* dV, const float* mean, const float* dOut, const float* lse, const float* q, const float* k,
                          const float* v, int T, int heads, int kvHeads, int headDim) {
  const int g = blockIdx.y, token = blockIdx.x, j = token % T, group = heads / kvHeads;
  const size_t at = (static_cast<size_t>(token) * kvHeads + g) * headDim;
  const float scale = 1 / sqrtf(static_cast<float>(headDim));
  float key[HEAD_PARTS], value[HEAD_PARTS], query[HEAD_PARTS], gradient[HEAD_PARTS];
  float keySums[HEAD_PARTS] = {}, valueSums[HEAD_PARTS] = {};
  loadHead(key, k + at, headDim);
  loadHead(value, v + at, headDim);
  for (int i = threadIdx.x >> 5; i < (T - j) * group; i += ATTENTION_WARPS) {
    const size_t row = static_cast<size_t>(token + i / group) * heads + g * group + i % group;
    loadHead(query, q + row * headDim, headDim);
    loadHead(gradient, dOut + row * headDim, headDim);
    const float p = expf(dotHeads(key, query) * scale - lse[row]);
    const float ds = p * (dotHeads(value, gradient) - mean[row]) * scale;
#pragma unroll
    for (int d = 0; d < HEAD_PARTS; d++) {
      keySums[d] += ds * query[d];
      valueSums[d] += p * gradient[d];
    }
  }
  addHeads(dK + at, keySums, headDim);
  addHeads(dV + at, valueSums, headDim);
}
REGISTER_KERNEL(attention_backward_kv);
