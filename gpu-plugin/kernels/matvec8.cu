#include "formats.cuh"
#include "reduce.cuh"

// out = x · wᵀ for few tokens and the formats that most models come in, by integer products of four (dp4a): activations are
// rounded to eight bits per 32 values first, so that a weight costs a quarter of an instruction, not four.

/** Tokens that share a row of weights once it is unpacked. */
constexpr int TOKENS8 = 4;

/** q (count) ← x / d, scales (count / 32) ← d = max|x| / 127, by blocks of 32;  x (count). A warp has a block. */
KERNEL round_activations(int8_t* q, float* scales, const float* x, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;  // whole warps
  uint32_t bits = bitsOf(x[i]) & 0x7fffffff;  // as integers, so that a NaN is the largest
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) bits = max(bits, __shfl_xor_sync(ALL_LANES, bits, by));
  const float largest = fromBits(bits);
  const float scaled = largest > 1e-30f && largest < INFINITY ? product(x[i], 127 / largest) : 0;
  q[i] = static_cast<int8_t>(rintf(scaled));
  // what is not finite must not go unnoticed: 0 · ∞ is NaN
  if (i % 32 == 0) scales[i / 32] = largest / 127;
}
REGISTER_KERNEL(round_activations);

/** Eight weights of a row as two words of four bytes; a weight is scale · byte − min. Word `at` of x meets a word. */
struct Words {
  int bytes[2], at[2];
  float scale[2], min[2];
};

DEVICE uint32_t load32Aligned(const uint8_t* p) { return *reinterpret_cast<const uint32_t*>(p); }

DEVICE Words wordsOf(Q8_0, const uint8_t* row, int u) {
  const uint8_t* block = row + static_cast<size_t>(u / 4) * Q8_0::BYTES;
  const uint8_t* bytes = block + 2 + 8 * (u & 3);
  const float d = loadHalf(block);
  return {{static_cast<int>(load32(bytes)), static_cast<int>(load32(bytes + 4))}, {2 * u, 2 * u + 1}, {d, d}, {0, 0}};
}

/** The low and the high nibbles of four bytes. */
DEVICE int lowNibbles(uint32_t bytes) { return static_cast<int>(bytes & 0x0f0f0f0fu); }
DEVICE int highNibbles(uint32_t bytes) { return static_cast<int>((bytes >> 4) & 0x0f0f0f0fu); }

DEVICE Words wordsOf(Q4_0, const uint8_t* row, int u) {
  const uint8_t* block = row + static_cast<size_t>(u / 4) * Q4_0::BYTES;
  const uint32_t bytes = load32(block + 2 + 4 * (u & 3));
  const int at = 8 * (u / 4) + (u & 3);
  const float d = loadHalf(block);
  return {{lowNibbles(bytes), highNibbles(bytes)}, {at, at + 4}, {d, d}, {8 * d, 8 * d}};
}

DEVICE Words wordsOf(Q4_K, const uint8_t* row, int u) {
  const uint8_t* block = row + static_cast<size_t>(u / 32) * Q4_K::BYTES;
  const int pair = (u & 31) / 8, word = u & 7;  // of sub-blocks, of their 32 bytes
  const uint32_t bytes = load32Aligned(block + 16 + 32 * pair + 4 * word);
  const int at = 64 * (u / 32) + 16 * pair + word;
  const float d = loadHalf(block), dmin = loadHalf(block + 2);
  Words words = {{lowNibbles(bytes), highNibbles(bytes)}, {at, at + 8}, {0, 0}, {0, 0}};
#pragma unroll
  for (int k = 0; k < 2; k++) {
    words.scale[k] = d * scale6(block + 4, 2 * pair + k, false);
    words.min[k] = dmin * scale6(block + 4, 2 * pair + k, true);
  }
  return words;
}

DEVICE Words wordsOf(Q6_K, const uint8_t* row, int u) {
  const uint8_t* block = row + static_cast<size_t>(u / 32) * Q6_K::BYTES;
  const int half = (u & 31) / 16, word = u & 15;  // of 128 values, of their 64 low bytes
  const uint32_t low = load32(block + 64 * half + 4 * word);
  const float d = loadHalf(block + 208);
  Words words;
#pragma unroll
  for (int k = 0; k < 2; k++) {
    const int i = 128 * half + 64 * k + 4 * word;
    const uint32_t high = load32(block + 128 + 32 * half + (i & 31)) >> (2 * ((i >> 5) & 3));
    words.bytes[k] = (k == 0 ? lowNibbles(low) : highNibbles(low)) | static_cast<int>((high & 0x03030303u) << 4);
    words.at[k] = 64 * (u / 32) + i / 4;
    words.scale[k] = d * static_cast<int8_t>(block[192 + (i >> 4)]);
    words.min[k] = 32 * words.scale[k];
  }
  return words;
}

/** out (n, rows), q (n, cols) and scales (n, cols / 32) of round_activations, w (rows, cols). A warp has a row, as in matvec.cu. */
template <class F>
DEVICE void matvec8(float* out, const int* q, const float* scales, const uint8_t* w, int n, int rows, int cols) {
  const int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), lane = threadIdx.x & 31;
  const int first = blockIdx.y * TOKENS8, count = min(TOKENS8, n - first);
  if (row >= rows) return;
  const uint8_t* values = w + row * rowBytes<F>(cols);
  q += static_cast<size_t>(first) * (cols / 4);
  scales += static_cast<size_t>(first) * (cols / 32);
  float sums[TOKENS8] = {};
  for (int u = lane; u < cols / 8; u += 32) {
    const Words words = wordsOf(F(), values, u);
#pragma unroll
    for (int t = 0; t < TOKENS8; t++) {
      if (t >= count) break;
#pragma unroll
      for (int k = 0; k < 2; k++) {
        const int x = q[static_cast<size_t>(t) * (cols / 4) + words.at[k]];
        const float d = scales[static_cast<size_t>(t) * (cols / 32) + words.at[k] / 8];
        const int whole = __dp4a(words.bytes[k], x, 0), ones = __dp4a(0x01010101, x, 0);
        sums[t] += d * (words.scale[k] * whole - words.min[k] * ones);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < TOKENS8; t++) {
    const float sum = warpSum(sums[t]);
    if (lane == 0 && t < count) out[static_cast<size_t>(first + t) * rows + row] = sum;
  }
}

#define MATVEC8(dtype, Format) \
  KERNEL matvec8_##dtype(float* out, const int* q, const float* scales, const uint8_t* w, int n, int rows, int cols) { \
    matvec8<Format>(out, q, scales, w, n, rows, cols); \
  } \
  REGISTER_KERNEL(matvec8_##dtype);
MATVEC8(q8_0, Q8_0)
MATVEC8(q4_0, Q4_0)
MATVEC8(q4_k, Q4_K)
MATVEC8(q6_k, Q6_K)
