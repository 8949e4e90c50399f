// The part of NCCL's interface that the plugin uses. The names and argument orders are NVIDIA's, the numbers those of its
// enumerations (NCCL documentation, API); test/abi.cpp holds each against <nccl.h> where there is one.
#pragma once
#include "driver_api.h"

typedef int NcclResult;
typedef struct NcclCommunicatorOpaque* NcclCommunicator;

enum : NcclResult { NCCL_OK = 0, NCCL_UNHANDLED_CUDA_ERROR = 1, NCCL_SYSTEM_ERROR = 2, NCCL_INVALID_ARGUMENT = 4 };

/** ncclDataType_t */
constexpr int NCCL_UINT32 = 3;
/** ncclRedOp_t */
constexpr int NCCL_SUM = 0;

#define NCCL_API(X) \
  X(ncclCommInitAll, (NcclCommunicator*, int, const int*)) \
  X(ncclCommAbort, (NcclCommunicator)) \
  X(ncclAllReduce, (const void*, void*, size_t, int, int, NcclCommunicator, CuStream))
