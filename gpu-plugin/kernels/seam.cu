#include "tensor.cuh"

// What tensor.cuh promises, one kernel a function, so that a GPU can be held to it (test/cuda-seam.test.ts). A warp each.

/** to (16 · count bytes) = from through shared memory, zeros from `valid` pieces of 16 bytes on, in two groups of copies. */
KERNEL seam_copy(uint4* to, const uint4* from, int count, int valid) {
  SHARED(uint4, held, 64);
  for (int i = threadIdx.x; i < count; i += 32) {
    copyAsync16(held + i, from + (i < valid ? i : 0), i < valid);
    if (i < 32) commitCopies();
  }
  commitCopies();
  waitForCopies<1>();
  to[threadIdx.x] = held[threadIdx.x];
  waitForCopies<0>();
  __syncwarp();
  for (int i = 32 + threadIdx.x; i < count; i += 32) to[i] = held[i];
}
REGISTER_KERNEL(seam_copy);

/** out (4, 32 lanes) = what loadMatrices and, in the second half, loadMatricesTurned give of rows (32, 8) of 16-bit numbers. */
KERNEL seam_matrices(uint32_t* out, const uint4* rows) {
  SHARED(uint4, held, 32);
  held[threadIdx.x] = rows[threadIdx.x];
  __syncwarp();
  uint32_t r[4];
  loadMatrices(r, held + threadIdx.x);
  for (int j = 0; j < 4; j++) out[32 * j + threadIdx.x] = r[j];
  loadMatricesTurned(r, held + threadIdx.x);
  for (int j = 0; j < 4; j++) out[128 + 32 * j + threadIdx.x] = r[j];
}
REGISTER_KERNEL(seam_matrices);

/** The words of the lane's fragments of a (16, 8 words) and b (8, 8 words). */
DEVICE void fragments(uint32_t (&a)[4], uint32_t (&b)[2], const uint32_t* left, const uint32_t* right) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  for (int i = 0; i < 4; i++) a[i] = left[8 * (g + 8 * (i % 2)) + t + 4 * (i / 2)];
  for (int i = 0; i < 2; i++) b[i] = right[8 * g + t + 4 * i];
}

/** c (16, 8) += a · bᵀ, by the lane's four numbers of it. */
template <class T, class Multiply>
DEVICE void product16(T* c, const uint32_t* left, const uint32_t* right, Multiply multiply) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  uint32_t a[4], b[2];
  fragments(a, b, left, right);
  T sums[4];
  for (int i = 0; i < 4; i++) sums[i] = c[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
  multiply(sums, a, b);
  for (int i = 0; i < 4; i++) c[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = sums[i];
}

KERNEL seam_multiply_bf16(float* c, const uint32_t* left, const uint32_t* right) {
  product16(c, left, right, [](float(&c)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) { multiplyBf16(c, a, b[0], b[1]); });
}
REGISTER_KERNEL(seam_multiply_bf16);

KERNEL seam_multiply_half(float* c, const uint32_t* left, const uint32_t* right) {
  product16(c, left, right, [](float(&c)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) { multiplyHalf(c, a, b[0], b[1]); });
}
REGISTER_KERNEL(seam_multiply_half);

KERNEL seam_multiply_bytes(int* c, const uint32_t* left, const uint32_t* right) {
  product16(c, left, right, [](int(&c)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) { multiplyBytes(c, a, b[0], b[1]); });
}
REGISTER_KERNEL(seam_multiply_bytes);

/** pairs[2i], pairs[2i + 1] = x[2i], x[2i + 1] as bf16, as halves;  powers[i] = 2^x[i]; x (64) */
KERNEL seam_numbers(uint32_t* pairs, float* powers, const float* x) {
  const int i = 2 * threadIdx.x;
  pairs[i] = pairBf16(x[i], x[i + 1]);
  pairs[i + 1] = pairHalf(x[i], x[i + 1]);
  powers[i] = exp2Fast(x[i]);
  powers[i + 1] = exp2Fast(x[i + 1]);
}
REGISTER_KERNEL(seam_numbers);
