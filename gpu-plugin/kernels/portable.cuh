// One source for the GPU and for the CPU (mock/fibers.h): what the two spell differently is here, the rest is plain C++.
#pragma once
#ifdef __CUDACC__
#include <cuda_fp16.h>

#include <cstdint>
#define SHARED(T, name, count) __shared__ T name[count]
/** All the shared memory that the launch asked for, as the kernel's table entry says (host/cuda-kernels.ts). */
#define DYNAMIC_SHARED(T, name) \
  extern __shared__ __align__(128) unsigned char dynamicShared[]; \
  T* name = reinterpret_cast<T*>(dynamicShared)
#define REGISTER_KERNEL(name) static_assert(true, "")
#else
#include "../mock/fibers.h"
#endif

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__

constexpr unsigned ALL_LANES = 0xffffffffu;

#ifdef __CUDACC__
DEVICE float halfToFloat(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
/** To the nearest, ties to even. */
DEVICE uint16_t floatToHalf(float x) { return __half_as_ushort(__float2half_rn(x)); }
/** A product that is rounded by itself: compilers fuse others with a sum that follows. */
DEVICE float product(float a, float b) { return __fmul_rn(a, b); }
/** 16 aligned bytes that nobody reads again soon, as weights are: they pass the first cache by. */
DEVICE uint4 loadOnce(const uint8_t* p) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
#else
DEVICE float halfToFloat(uint16_t bits) {
  _Float16 half;
  memcpy(&half, &bits, 2);
  return static_cast<float>(half);
}
DEVICE uint16_t floatToHalf(float x) {
  const _Float16 half = static_cast<_Float16>(x);
  uint16_t bits;
  memcpy(&bits, &half, 2);
  return bits;
}
DEVICE float product(float a, float b) { return a * b; }
DEVICE uint4 loadOnce(const uint8_t* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) fibers::fail("loadOnce: not aligned to 16 bytes");
  return *reinterpret_cast<const uint4*>(p);
}
#endif

DEVICE uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}
DEVICE float fromBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
/** Numbers of a stored block begin at multiples of two bytes. */
DEVICE uint16_t load16(const uint8_t* p) { return *reinterpret_cast<const uint16_t*>(p); }
DEVICE uint32_t load32(const uint8_t* p) { return load16(p) | static_cast<uint32_t>(load16(p + 2)) << 16; }
DEVICE float loadHalf(const uint8_t* p) { return halfToFloat(load16(p)); }
