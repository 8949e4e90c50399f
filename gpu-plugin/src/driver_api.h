// The part of the CUDA driver's interface that the plugin uses, so that it builds without a CUDA toolkit. The names and
// argument orders are NVIDIA's (CUDA Driver API reference manual); test/abi.cpp holds each against <cuda.h> where there is one.
#pragma once
#include <cstddef>

typedef int CuResult;
typedef int CuDevice;
typedef unsigned long long CuAddress;
typedef struct CuContextOpaque* CuContext;
typedef struct CuModuleOpaque* CuModule;
typedef struct CuFunctionOpaque* CuFunction;
typedef struct CuStreamOpaque* CuStream;
typedef struct CuGraphOpaque* CuGraph;
typedef struct CuGraphExecOpaque* CuGraphExec;

enum : CuResult {
  CU_OK = 0,
  CU_INVALID_VALUE = 1,
  CU_OUT_OF_MEMORY = 2,
  CU_NO_DEVICE = 100,
  CU_INVALID_DEVICE = 101,
  CU_NOT_FOUND = 500,
  CU_LAUNCH_FAILED = 719,
  CU_CAPTURE_UNSUPPORTED = 900,
};

enum : int {
  CU_ATTRIBUTE_MULTIPROCESSORS = 16,
  CU_ATTRIBUTE_COMPUTE_MAJOR = 75,
  CU_ATTRIBUTE_COMPUTE_MINOR = 76,
};

/** Dynamic shared memory that a function may be launched with. */
constexpr int CU_FUNCTION_MOST_DYNAMIC_SHARED = 8;
/** What is captured is one stream's work, whatever other threads do. */
constexpr int CU_CAPTURE_RELAXED = 2;

/** A stream that does not wait for the default one. */
constexpr unsigned CU_STREAM_NON_BLOCKING_FLAG = 1;

#define CU_DRIVER_API(X) \
  X(cuInit, (unsigned)) \
  X(cuDriverGetVersion, (int*)) \
  X(cuGetErrorName, (CuResult, const char**)) \
  X(cuGetErrorString, (CuResult, const char**)) \
  X(cuDeviceGetCount, (int*)) \
  X(cuDeviceGet, (CuDevice*, int)) \
  X(cuDeviceGetName, (char*, int, CuDevice)) \
  X(cuDeviceGetAttribute, (int*, int, CuDevice)) \
  X(cuDeviceTotalMem_v2, (size_t*, CuDevice)) \
  X(cuDevicePrimaryCtxRetain, (CuContext*, CuDevice)) \
  X(cuDevicePrimaryCtxRelease_v2, (CuDevice)) \
  X(cuCtxSetCurrent, (CuContext)) \
  X(cuMemGetInfo_v2, (size_t*, size_t*)) \
  X(cuModuleLoadData, (CuModule*, const void*)) \
  X(cuModuleUnload, (CuModule)) \
  X(cuModuleGetFunction, (CuFunction*, CuModule, const char*)) \
  X(cuFuncSetAttribute, (CuFunction, int, int)) \
  X(cuMemAlloc_v2, (CuAddress*, size_t)) \
  X(cuMemFree_v2, (CuAddress)) \
  X(cuMemcpyHtoDAsync_v2, (CuAddress, const void*, size_t, CuStream)) \
  X(cuMemcpyDtoHAsync_v2, (void*, CuAddress, size_t, CuStream)) \
  X(cuMemcpyDtoDAsync_v2, (CuAddress, CuAddress, size_t, CuStream)) \
  X(cuStreamCreate, (CuStream*, unsigned)) \
  X(cuStreamDestroy_v2, (CuStream)) \
  X(cuStreamSynchronize, (CuStream)) \
  X(cuStreamBeginCapture_v2, (CuStream, int)) \
  X(cuStreamEndCapture, (CuStream, CuGraph*)) \
  X(cuGraphInstantiateWithFlags, (CuGraphExec*, CuGraph, unsigned long long)) \
  X(cuGraphLaunch, (CuGraphExec, CuStream)) \
  X(cuGraphDestroy, (CuGraph)) \
  X(cuGraphExecDestroy, (CuGraphExec)) \
  X(cuLaunchKernel, (CuFunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CuStream, void**, void**))
