#include "matvec.cuh"

// Weights as floats, in loads of 16 bytes.

/** Loads of a row that are on their way at once. */
constexpr int AHEAD = 4;

/** sums[r][t] += the lane's part of row r · x[t] for `n` ≤ N tokens;  x (n, cols) */
template <class F, int N>
DEVICE void addRows(float (&sums)[2][N], const Pair& pair, const float* x, int n, int cols) {
  const int lane = threadIdx.x & 31;
  int from = lane;
  // rows of whole loads begin at multiples of 16 bytes
  constexpr int EACH = 16 / F::BYTES;
  const int step = 32 * EACH;
  for (int begin = lane * EACH; cols % EACH == 0 && begin < cols; begin += step * AHEAD) {
    uint4 loaded[2][AHEAD];
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      const size_t at = static_cast<size_t>(begin + a * step) * F::BYTES;
      if (begin + a * step >= cols) break;
      loaded[0][a] = loadOnce(pair.w[0] + at);
      loaded[1][a] = loadOnce(pair.w[1] + at);
    }
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      if (begin + a * step >= cols) break;
      const auto* first = reinterpret_cast<const uint8_t*>(&loaded[0][a]);
      const auto* second = reinterpret_cast<const uint8_t*>(&loaded[1][a]);
#pragma unroll
      for (int t = 0; t < N; t++) {
        if (t >= n) break;
        const float* y = x + static_cast<size_t>(t) * cols + begin + a * step;
#pragma unroll
        for (int i = 0; i < EACH; i += 4) {
          const float4 four = *reinterpret_cast<const float4*>(y + i);
          const float numbers[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
          for (int j = 0; j < 4; j++) {
            sums[0][t] += F::value(first, i + j) * numbers[j];
            sums[1][t] += F::value(second, i + j) * numbers[j];
          }
        }
      }
    }
  }
  if (cols % EACH == 0) from = cols;
  for (int i = from; i < cols; i += 32) {
    const float first = F::value(pair.w[0], i), second = F::value(pair.w[1], i);
#pragma unroll
    for (int t = 0; t < N; t++) {
      if (t >= n) break;
      const float number = x[static_cast<size_t>(t) * cols + i];
      sums[0][t] += first * number;
      sums[1][t] += second * number;
    }
  }
}

/** out[i] = x · w[i]ᵀ, or += that;  x (n, cols), w[i] (rows[i], cols), out[i] (n, rows[i]). A warp has two rows of a matrix. */
template <class F, int N>
DEVICE void matvec(const Matrices& m, const float* x, int n, int cols, bool add) {
  Pair pair;
  if (!pairOf(pair, m, rowBytes<F>(cols))) return;
  float sums[2][N] = {};
  addRows<F, N>(sums, pair, x, n, cols);
  writePair<N>(pair, sums, n, add);
}

/** out = silu(x · gateᵀ) · (x · upᵀ);  out (n, rows), gate and up (rows, cols). A warp has a row of each. */
template <class F, int N>
DEVICE void matvecGated(const Matrices& m, const float* x, int n, int cols) {
  Pair pair;
  if (!gatedPairOf(pair, m, rowBytes<F>(cols))) return;
  float sums[2][N] = {};
  addRows<F, N>(sums, pair, x, n, cols);
  writeGated<N>(pair, sums, n);
}

#define MATVEC_OF(name, Format, N) \
  KERNEL __launch_bounds__(MATVEC_WARPS * 32) \
      name(float* out0, float* out1, float* out2, const uint8_t* w0, const uint8_t* w1, const uint8_t* w2, int rows0, int rows1, \
           int rows2, const float* x, int n, int cols, int add) { \
    matvec<Format, N>({{out0, out1, out2}, {w0, w1, w2}, {rows0, rows1, rows2}}, x, n, cols, add); \
  } \
  REGISTER_KERNEL(name);
#define MATVEC_GATED_OF(name, Format, N) \
  KERNEL __launch_bounds__(MATVEC_WARPS * 32) \
      name(float* out, const uint8_t* gate, const uint8_t* up, int rows, const float* x, int n, int cols) { \
    matvecGated<Format, N>({{out}, {gate, up}, {rows}}, x, n, cols); \
  } \
  REGISTER_KERNEL(name);

#define MATVEC(dtype, Format) \
  MATVEC_OF(matvec_one_##dtype, Format, 1) \
  MATVEC_GATED_OF(matvec_gated_one_##dtype, Format, 1) \
  MATVEC_OF(matvec_few_##dtype, Format, FEW) \
  MATVEC_GATED_OF(matvec_gated_few_##dtype, Format, FEW)
FOR_EACH_FLOAT(MATVEC)
