// What tensor cores take: one instruction of PTX each (PTX ISA, "Warp-level matrix instructions" and "Data movement: cp.async"),
// and beside each the same contract in C++ (mock/tensor.h). Kernels that use them are plain C++ otherwise.
#pragma once
#include "portable.cuh"

/** Numbers of a bf16 pair: the first in the low half. */
DEVICE float lowBf16(uint32_t pair) { return fromBits(pair << 16); }
DEVICE float highBf16(uint32_t pair) { return fromBits(pair & 0xffff0000u); }

#ifdef __CUDACC__
#include <cuda_bf16.h>

/** To the nearest, ties to even. */
DEVICE uint32_t pairBf16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
DEVICE uint32_t pairHalf(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

DEVICE unsigned sharedAddress(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

/** Begins to copy 16 aligned bytes into shared memory, or zeros if they are not `valid`. */
DEVICE void copyAsync16(void* to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(sharedAddress(to)), "l"(from), "r"(valid ? 16 : 0) : "memory");
}
/** Closes a group of the thread's copies. */
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
/** Waits until at most N of the thread's groups are under way. */
template <int N>
DEVICE void waitForCopies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

/**
 * Four 8 × 8 matrices of 16-bit numbers: lanes 8j … 8j + 7 give the addresses of the rows of matrix j, 16 aligned bytes each, and lane l
 * gets in r[j] the numbers (l / 4, 2(l % 4)) and (l / 4, 2(l % 4) + 1).
 */
DEVICE void loadMatrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}
/** The same of the matrices' transposes: numbers (2(l % 4), l / 4) and (2(l % 4) + 1, l / 4). */
DEVICE void loadMatricesTurned(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}

/**
 * c += a · bᵀ;  c (16, 8) f32, a (16, 16), b (8, 16) bf16. Lane l, with g = l / 4 and t = l % 4, has c: (g, 2t), (g, 2t + 1), (g + 8, 2t),
 * (g + 8, 2t + 1); a in pairs from (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8); b in pairs from (g, 2t), (g, 2t + 8).
 */
DEVICE void multiplyBf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/** The same of halves. */
DEVICE void multiplyHalf(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/** c += a · bᵀ;  c (16, 8) i32, a (16, 32), b (8, 32) i8: as above, with four bytes where there are two numbers. */
DEVICE void multiplyBytes(int (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/** 2^x, within two units in the last place. */
DEVICE float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/** x, of which the compiler knows nothing: what follows from it is computed anew, and not kept in registers through a loop. */
DEVICE int fresh(int x) {
  asm volatile("" : "+r"(x));
  return x;
}
#else
#include "../mock/tensor.h"
#endif

/** What tensor cores multiply. Halves have three bits more than bf16 and end at 65504. */
struct Halves {
  DEVICE uint32_t pair(float low, float high) { return pairHalf(low, high); }
  DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) { multiplyHalf(c, a, b0, b1); }
};
struct Bf16s {
  DEVICE uint32_t pair(float low, float high) { return pairBf16(low, high); }
  DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) { multiplyBf16(c, a, b0, b1); }
};
