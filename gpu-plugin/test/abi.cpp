// src/driver_api.h beside NVIDIA's own <cuda.h>: the same number of arguments, each of the same size. Compiles or does not.
#include <cuda.h>

#include <type_traits>

#include "../src/driver_api.h"

template <class A, class B>
constexpr bool alike = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>;

template <class, class>
struct Same : std::false_type {};
template <class... A, class... B>
struct Same<CUresult(A...), CuResult(B...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A) != sizeof...(B)) return false;
    else return (alike<A, B> && ...);
  }();
};

static_assert(!Same<CUresult(int), CuResult(size_t)>::value && !Same<CUresult(int), CuResult(int, int)>::value);

#define CHECK(name, arguments) static_assert(Same<std::remove_pointer_t<decltype(&::name)>, CuResult arguments>::value, #name);
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
