// The part of cuBLASLt's interface that the plugin uses. The names and argument orders are NVIDIA's, the numbers those of its
// enumerations (cuBLAS manual, "Using the cuBLASLt API"; library_types.h); test/abi.cpp holds each against <cublasLt.h> where
// there is one. Handles and descriptors are made by the library itself, so that their size does not matter.
#pragma once
#include "driver_api.h"

typedef int LtStatus;
typedef struct LtHandleOpaque* LtHandle;
typedef struct LtOperationOpaque* LtOperation;
typedef struct LtLayoutOpaque* LtLayout;
typedef struct LtPreferenceOpaque* LtPreference;

struct LtAlgorithm {
  unsigned long long data[8];
};
/** cublasLtMatmulHeuristicResult_t */
struct LtHeuristic {
  LtAlgorithm algorithm;
  size_t workspace;
  LtStatus state;
  float waves;
  int reserved[4];
};

enum : LtStatus { LT_OK = 0, LT_NOT_INITIALIZED = 1, LT_INVALID_VALUE = 7, LT_EXECUTION_FAILED = 13, LT_NOT_SUPPORTED = 15 };

/** cudaDataType */
enum : int { LT_F32 = 0, LT_HALF = 2, LT_BF16 = 14 };
/** cublasComputeType_t */
constexpr int LT_COMPUTE_F32 = 68;
/** cublasOperation_t */
enum : int { LT_AS_IT_IS = 0, LT_TRANSPOSED = 1 };
/** cublasLtMatmulDescAttributes_t, both int32 */
enum : int { LT_TRANSPOSE_A = 3, LT_TRANSPOSE_B = 4 };
/** cublasLtMatmulPreferenceAttributes_t: uint64, and uint32 for bytes that addresses are multiples of (256 unless said) */
enum : int { LT_MOST_WORKSPACE = 1, LT_ALIGN_A = 5, LT_ALIGN_B = 6, LT_ALIGN_C = 7, LT_ALIGN_D = 8 };

#define LT_API(X) \
  X(cublasLtCreate, (LtHandle*)) \
  X(cublasLtDestroy, (LtHandle)) \
  X(cublasLtMatmulDescCreate, (LtOperation*, int, int)) \
  X(cublasLtMatmulDescSetAttribute, (LtOperation, int, const void*, size_t)) \
  X(cublasLtMatmulDescDestroy, (LtOperation)) \
  X(cublasLtMatrixLayoutCreate, (LtLayout*, int, unsigned long long, unsigned long long, long long)) \
  X(cublasLtMatrixLayoutDestroy, (LtLayout)) \
  X(cublasLtMatmulPreferenceCreate, (LtPreference*)) \
  X(cublasLtMatmulPreferenceSetAttribute, (LtPreference, int, const void*, size_t)) \
  X(cublasLtMatmulPreferenceDestroy, (LtPreference)) \
  X(cublasLtMatmulAlgoGetHeuristic, \
    (LtHandle, LtOperation, LtLayout, LtLayout, LtLayout, LtLayout, LtPreference, int, LtHeuristic*, int*)) \
  X(cublasLtMatmul, (LtHandle, LtOperation, const void*, const void*, LtLayout, const void*, LtLayout, const void*, const void*, \
                     LtLayout, void*, LtLayout, const LtAlgorithm*, void*, size_t, CuStream))
