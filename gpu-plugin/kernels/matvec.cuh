// out = x · wᵀ for few tokens: which rows of which matrices a warp has, and what becomes of its sums. Weights are streamed past the
// tokens once; what counts is how many bytes are on their way.
#pragma once
#include "formats.cuh"
#include "reduce.cuh"

/** Tokens that meet a row at once. */
constexpr int FEW = 8;
/** Warps of a block. A warp has two rows: what it loads of the tokens meets both. */
constexpr int MATVEC_WARPS = 4;

/** Up to three matrices (rows, cols) of one format that meet the same tokens. */
struct Matrices {
  float* out[3];
  const uint8_t* w[3];
  int rows[3];
};

/** The rows of a warp; `out` is the first number that becomes of them, for the first token. */
struct Pair {
  const uint8_t* w[2];
  float* out;
  /** Rows of the matrix, which are numbers from a token to the next; and whether the second row is one of them. */
  int rows;
  bool both;
};

DEVICE int warpOfGrid() { return blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5); }

/** Two neighbouring rows of one of the matrices; false if there are none left. */
DEVICE bool pairOf(Pair& pair, const Matrices& m, size_t stride) {
  int at = warpOfGrid();
#pragma unroll
  for (int i = 0; i < 3; i++) {
    const int pairs = (m.rows[i] + 1) / 2;
    if (at >= pairs) {
      at -= pairs;
      continue;
    }
    const uint8_t* row = m.w[i] + 2 * at * stride;
    const bool both = 2 * at + 1 < m.rows[i];
    pair = {{row, both ? row + stride : row}, m.out[i] + 2 * at, m.rows[i], both};
    return true;
  }
  return false;
}

/** The same row of both matrices. */
DEVICE bool gatedPairOf(Pair& pair, const Matrices& m, size_t stride) {
  const int row = warpOfGrid();
  if (row >= m.rows[0]) return false;
  pair = {{m.w[0] + row * stride, m.w[1] + row * stride}, m.out[0] + row, m.rows[0], false};
  return true;
}

/** out[t] = the sums of all lanes, or += them. */
template <int N>
DEVICE void writePair(const Pair& pair, const float (&sums)[2][N], int n, bool add) {
#pragma unroll
  for (int t = 0; t < N; t++) {
    if (t >= n) break;
    const float first = warpSum(sums[0][t]), second = warpSum(sums[1][t]);
    float* out = pair.out + static_cast<size_t>(t) * pair.rows;
    if ((threadIdx.x & 31) != 0) continue;
    out[0] = add ? out[0] + first : first;
    if (pair.both) out[1] = add ? out[1] + second : second;
  }
}

/** out[t] = silu(first) · second */
template <int N>
DEVICE void writeGated(const Pair& pair, const float (&sums)[2][N], int n) {
#pragma unroll
  for (int t = 0; t < N; t++) {
    if (t >= n) break;
    const float gate = warpSum(sums[0][t]), up = warpSum(sums[1][t]);
    if ((threadIdx.x & 31) == 0) pair.out[static_cast<size_t>(t) * pair.rows] = gate / (1 + expf(-gate)) * up;
  }
}
