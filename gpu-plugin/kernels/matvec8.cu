#include "matvec.cuh"
#include "matvec8_k.cuh"

// out = x · wᵀ for few tokens and quantised weights, by integer products of four (dp4a): activations are rounded to eight bits per 32
// values first, so that a weight costs a quarter of an instruction, not four.

/**
 * A number of each lane, 32 that follow one another, as bytes q with d = max|x| / 127; factors: d and d · Σq of each 16, which a
 * weight's minimum meets.
 */
DEVICE void roundLanes(int8_t* q, float2* factors, float x) {
  uint32_t bits = bitsOf(x) & 0x7fffffff;  // as integers, so that a NaN is the largest
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) bits = max(bits, __shfl_xor_sync(ALL_LANES, bits, by));
  const float largest = fromBits(bits);
  const float scaled = largest > 1e-30f && largest < INFINITY ? product(x, 127 / largest) : 0;
  const int rounded = static_cast<int>(rintf(scaled));
  int sum = rounded;
#pragma unroll
  for (int by = 8; by > 0; by >>= 1) sum += __shfl_xor_sync(ALL_LANES, sum, by);
  const int lane = threadIdx.x & 31;
  q[lane] = static_cast<int8_t>(rounded);
  // what is not finite must not go unnoticed: 0 · ∞ is NaN
  if (lane % 16 == 0) factors[lane / 16] = {largest / 127, largest / 127 * sum};
}

/** q (count), factors (count / 16) ← x (count), by blocks of 32. A warp has a block. */
KERNEL round_activations(int8_t* q, float2* factors, const float* x, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, first = i & ~31;
  if (i < count) roundLanes(q + first, factors + first / 16, x[i]);  // whole warps
}
REGISTER_KERNEL(round_activations);

/** The same of rmsnorm(x) (rmsnorm.cu);  x, q (n, dim), weight (dim), dim a multiple of 32. A block has a row. */
KERNEL rmsnorm_round(int8_t* q, float2* factors, const float* x, const float* weight, int dim, float eps) {
  const size_t row = static_cast<size_t>(blockIdx.x) * dim;
  float sum = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) sum += x[row + i] * x[row + i];
  const float scale = 1 / sqrtf(blockSum(sum) / dim + eps);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    const size_t first = row + (i & ~31);
    roundLanes(q + first, factors + first / 16, x[row + i] * scale * weight[i]);
  }
}
REGISTER_KERNEL(rmsnorm_round);

/** A run of 16 bytes of weights · one of a token. */
DEVICE int dot16(const int (&bytes)[4], const uint4& x) {
  int sum = __dp4a(bytes[0], static_cast<int>(x.x), 0);
  sum = __dp4a(bytes[1], static_cast<int>(x.y), sum);
  sum = __dp4a(bytes[2], static_cast<int>(x.z), sum);
  return __dp4a(bytes[3], static_cast<int>(x.w), sum);
}

/** sums[r][t] += the lane's part of row r · token t, for `n` ≤ N tokens;  q (n, cols), factors (n, cols / 16) */
template <class F, int N>
DEVICE void addRows8(float (&sums)[2][N], const Pair& pair, const uint4* q, const float2* factors, int n, int cols) {
  using Load = Raw<F>;
  using Loaded = decltype(Load::load(nullptr, 0, 0));
  const int units = cols / 32, runs = cols / 16;
  for (int begin = threadIdx.x & 31; begin < units; begin += 32 * Load::AHEAD) {
    Loaded loaded[2][Load::AHEAD];
#pragma unroll
    for (int a = 0; a < Load::AHEAD; a++) {
      if (begin + 32 * a >= units) break;
#pragma unroll
      for (int r = 0; r < 2; r++) loaded[r][a] = Load::load(pair.w[r], begin + 32 * a, cols / F::VALUES);
    }
#pragma unroll
    for (int a = 0; a < Load::AHEAD; a++) {
      if (begin + 32 * a >= units) break;
      const Runs first = Load::runs(loaded[0][a], begin + 32 * a), second = Load::runs(loaded[1][a], begin + 32 * a);
#pragma unroll
      for (int t = 0; t < N; t++) {
        if (t >= n) break;
#pragma unroll
        for (int k = 0; k < 2; k++) {
          const size_t at = static_cast<size_t>(t) * runs + first.at[k];
          const uint4 x = q[at];
          const float2 factor = factors[at];
          sums[0][t] += first.scale[k] * factor.x * dot16(first.bytes[k], x) - first.min[k] * factor.y;
          sums[1][t] += second.scale[k] * factor.x * dot16(second.bytes[k], x) - second.min[k] * factor.y;
        }
      }
    }
  }
}

/** As matvec.cu, of rounded tokens. */
template <class F, int N>
DEVICE void matvec8(const Matrices& m, const uint4* q, const float2* factors, int n, int cols, bool add) {
  Pair pair;
  if (!pairOf(pair, m, rowBytes<F>(cols))) return;
  float sums[2][N] = {};
  addRows8<F, N>(sums, pair, q, factors, n, cols);
  writePair<N>(pair, sums, n, add);
}

template <class F, int N>
DEVICE void matvec8Gated(const Matrices& m, const uint4* q, const float2* factors, int n, int cols) {
  Pair pair;
  if (!gatedPairOf(pair, m, rowBytes<F>(cols))) return;
  float sums[2][N] = {};
  addRows8<F, N>(sums, pair, q, factors, n, cols);
  writeGated<N>(pair, sums, n);
}

#define MATVEC8_OF(name, gatedName, Format, N) \
  KERNEL __launch_bounds__(MATVEC_WARPS * 32) \
      name(float* out0, float* out1, float* out2, const uint8_t* w0, const uint8_t* w1, const uint8_t* w2, int rows0, int rows1, \
           int rows2, const uint4* q, const float2* factors, int n, int cols, int add) { \
    matvec8<Format, N>({{out0, out1, out2}, {w0, w1, w2}, {rows0, rows1, rows2}}, q, factors, n, cols, add); \
  } \
  REGISTER_KERNEL(name); \
  KERNEL __launch_bounds__(MATVEC_WARPS * 32) \
      gatedName(float* out, const uint8_t* gate, const uint8_t* up, int rows, const uint4* q, const float2* factors, int n, int cols) { \
    matvec8Gated<Format, N>({{out}, {gate, up}, {rows}}, q, factors, n, cols); \
  } \
  REGISTER_KERNEL(gatedName);
#define MATVEC8(dtype, Format) \
  MATVEC8_OF(matvec8_one_##dtype, matvec8_gated_one_##dtype, Format, 1) \
  MATVEC8_OF(matvec8_few_##dtype, matvec8_gated_few_##dtype, Format, FEW)
FOR_EACH_QUANTISED(MATVEC8)
