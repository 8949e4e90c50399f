// The interfaces in src beside NVIDIA's own headers, <cuda.h> and what else there is: the same number of arguments, each of the
// same size. Compiles or does not.
#include <cuda.h>
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif
#if __has_include(<nccl.h>)
#include <nccl.h>
#endif

#include <type_traits>

#include "../src/blaslt_api.h"
#include "../src/driver_api.h"
#include "../src/nccl_api.h"

template <class A, class B>
constexpr bool alike = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>;

template <class, class>
struct Same : std::false_type {};
template <class R, class... A, class... B>
struct Same<R(A...), int(B...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A) != sizeof...(B)) return false;
    else return (alike<A, B> && ...);
  }();
};

static_assert(!Same<CUresult(int), CuResult(size_t)>::value && !Same<CUresult(int), CuResult(int, int)>::value);

#define CHECK(name, arguments) static_assert(Same<std::remove_pointer_t<decltype(&::name)>, int arguments>::value, #name);
CU_DRIVER_API(CHECK)

static_assert(CU_OK == CUDA_SUCCESS && CU_INVALID_VALUE == CUDA_ERROR_INVALID_VALUE);
static_assert(CU_OUT_OF_MEMORY == CUDA_ERROR_OUT_OF_MEMORY && CU_NO_DEVICE == CUDA_ERROR_NO_DEVICE);
static_assert(CU_NOT_FOUND == CUDA_ERROR_NOT_FOUND && CU_LAUNCH_FAILED == CUDA_ERROR_LAUNCH_FAILED);
static_assert(CU_INVALID_DEVICE == CUDA_ERROR_INVALID_DEVICE && CU_STREAM_NON_BLOCKING_FLAG == CU_STREAM_NON_BLOCKING);
static_assert(CU_ATTRIBUTE_MULTIPROCESSORS == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(CU_ATTRIBUTE_COMPUTE_MAJOR == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(CU_ATTRIBUTE_COMPUTE_MINOR == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(CU_CAPTURE_UNSUPPORTED == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED && CU_CAPTURE_RELAXED == CU_STREAM_CAPTURE_MODE_RELAXED);
static_assert(CU_FUNCTION_MOST_DYNAMIC_SHARED == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);

#if __has_include(<cublasLt.h>)
LT_API(CHECK)
static_assert(sizeof(LtAlgorithm) == sizeof(cublasLtMatmulAlgo_t) && sizeof(LtHeuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(LtHeuristic, workspace) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(LtHeuristic, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(LT_OK == CUBLAS_STATUS_SUCCESS && LT_NOT_INITIALIZED == CUBLAS_STATUS_NOT_INITIALIZED);
static_assert(LT_INVALID_VALUE == CUBLAS_STATUS_INVALID_VALUE && LT_EXECUTION_FAILED == CUBLAS_STATUS_EXECUTION_FAILED);
static_assert(LT_NOT_SUPPORTED == CUBLAS_STATUS_NOT_SUPPORTED && LT_COMPUTE_F32 == CUBLAS_COMPUTE_32F);
static_assert(LT_F32 == CUDA_R_32F && LT_HALF == CUDA_R_16F && LT_BF16 == CUDA_R_16BF);
static_assert(LT_AS_IT_IS == CUBLAS_OP_N && LT_TRANSPOSED == CUBLAS_OP_T);
static_assert(LT_TRANSPOSE_A == CUBLASLT_MATMUL_DESC_TRANSA && LT_TRANSPOSE_B == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(LT_MOST_WORKSPACE == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(LT_ALIGN_A == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES && LT_ALIGN_B == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(LT_ALIGN_C == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES && LT_ALIGN_D == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
#endif

#if __has_include(<nccl.h>)
NCCL_API(CHECK)
static_assert(NCCL_OK == ncclSuccess && NCCL_UNHANDLED_CUDA_ERROR == ncclUnhandledCudaError && NCCL_SYSTEM_ERROR == ncclSystemError);
static_assert(NCCL_INVALID_ARGUMENT == ncclInvalidArgument && NCCL_UINT32 == ncclUint32 && NCCL_SUM == ncclSum);
#endif
