// Sums and maxima of a warp and of a block, which has whole warps.
#pragma once
#include "portable.cuh"

template <class T>
DEVICE T warpSum(T v) {
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) v += __shfl_xor_sync(ALL_LANES, v, by);
  return v;
}

DEVICE float warpMax(float v) {
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, by));
  return v;
}

/** The sum of all threads' values, for all threads. */
template <class T>
DEVICE T blockSum(T v) {
  SHARED(T, parts, 32);
  const int lane = threadIdx.x & 31, warps = blockDim.x >> 5;
  v = warpSum(v);
  __syncthreads();  // the parts of an earlier sum have been read
  if (lane == 0) parts[threadIdx.x >> 5] = v;
  __syncthreads();
  return warpSum(lane < warps ? parts[lane] : T(0));
}

/** The largest of all threads' values, for all threads. A NaN is passed over. */
DEVICE float blockMax(float v) {
  SHARED(float, parts, 32);
  const int lane = threadIdx.x & 31, warps = blockDim.x >> 5;
  v = warpMax(v);
  __syncthreads();
  if (lane == 0) parts[threadIdx.x >> 5] = v;
  __syncthreads();
  return warpMax(lane < warps ? parts[lane] : -INFINITY);
}
