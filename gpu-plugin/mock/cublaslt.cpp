// A libcublasLt without a GPU: plain loops, run when the stream is waited for. What the library refuses is refused, and more:
// layouts that do not fit each other, matrices that are no buffer's, addresses that are not the multiples that were promised.
//
//     CRIA_MOCK_LT_CREATE   what cublasLtCreate gives; 0 by default
//     CRIA_MOCK_LT_MATMUL   what cublasLtMatmul gives; 0 by default
//     CRIA_MOCK_LT_SEARCH   how many algorithms are found; 1 by default
#include "../src/blaslt_api.h"
#include "fibers.h"
#include "hooks.h"

#define API extern "C" __attribute__((visibility("default"))) LtStatus

namespace {

struct Object {
  Object() { mock::take(); }
  ~Object() { mock::give(); }
  Object(const Object&) = delete;
};
struct Handle : Object {};
struct Operation : Object {
  bool transposed[2] = {};
};
struct Layout : Object {
  int type;
  unsigned long long rows, cols;
  long long ld;
};
struct Preference : Object {
  unsigned long long workspace = 0;
  /** Of A, B, C and D. */
  unsigned aligned[4] = {256, 256, 256, 256};
};
/** What an algorithm remembers of the preference that it was found with. */
static_assert(sizeof(LtAlgorithm) >= sizeof(unsigned long long) + 4 * sizeof(unsigned));

template <class T, class H>
T* of(H handle) {
  return reinterpret_cast<T*>(handle);
}
template <class T, class H>
LtStatus make(H* made) {
  *made = reinterpret_cast<H>(new T);
  return LT_OK;
}
template <class T, class H>
LtStatus drop(H handle) {
  delete of<T>(handle);
  return LT_OK;
}

size_t bytesOf(const Layout& layout) { return layout.ld * layout.cols * (layout.type == LT_F32 ? 4 : 2); }

/** A number of 16 bits. */
float number(int type, const void* at, size_t index) {
  const uint16_t bits = static_cast<const uint16_t*>(at)[index];
  float value;
  if (type == LT_BF16) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    std::memcpy(&value, &wide, 4);
  } else {
    _Float16 half;
    std::memcpy(&half, &bits, 2);
    value = static_cast<float>(half);
  }
  return value;
}

}  // namespace

API cublasLtCreate(LtHandle* handle) {
  if (const long status = mock::setting("CRIA_MOCK_LT_CREATE", 0)) return static_cast<LtStatus>(status);
  return make<Handle>(handle);
}
API cublasLtDestroy(LtHandle handle) { return drop<Handle>(handle); }

API cublasLtMatmulDescCreate(LtOperation* operation, int compute, int scale) {
  if (compute != LT_COMPUTE_F32 || scale != LT_F32) return LT_NOT_SUPPORTED;
  return make<Operation>(operation);
}
API cublasLtMatmulDescSetAttribute(LtOperation operation, int attribute, const void* value, size_t bytes) {
  if ((attribute != LT_TRANSPOSE_A && attribute != LT_TRANSPOSE_B) || bytes != 4) return LT_INVALID_VALUE;
  of<Operation>(operation)->transposed[attribute - LT_TRANSPOSE_A] = *static_cast<const int*>(value) == LT_TRANSPOSED;
  return LT_OK;
}
API cublasLtMatmulDescDestroy(LtOperation operation) { return drop<Operation>(operation); }

API cublasLtMatrixLayoutCreate(LtLayout* made, int type, unsigned long long rows, unsigned long long cols, long long ld) {
  if (ld < static_cast<long long>(rows)) return LT_INVALID_VALUE;
  make<Layout>(made);
  auto* layout = of<Layout>(*made);
  layout->type = type;
  layout->rows = rows;
  layout->cols = cols;
  layout->ld = ld;
  return LT_OK;
}
API cublasLtMatrixLayoutDestroy(LtLayout layout) { return drop<Layout>(layout); }

API cublasLtMatmulPreferenceCreate(LtPreference* preference) { return make<Preference>(preference); }
API cublasLtMatmulPreferenceSetAttribute(LtPreference handle, int attribute, const void* value, size_t bytes) {
  auto* preference = of<Preference>(handle);
  if (attribute == LT_MOST_WORKSPACE && bytes == 8) std::memcpy(&preference->workspace, value, 8);
  else if (attribute >= LT_ALIGN_A && attribute <= LT_ALIGN_D && bytes == 4) std::memcpy(&preference->aligned[attribute - LT_ALIGN_A], value, 4);
  else return LT_INVALID_VALUE;
  return LT_OK;
}
API cublasLtMatmulPreferenceDestroy(LtPreference preference) { return drop<Preference>(preference); }

API cublasLtMatmulAlgoGetHeuristic(LtHandle, LtOperation operation, LtLayout a, LtLayout b, LtLayout c, LtLayout d, LtPreference preference,
                                   int, LtHeuristic* best, int* found) {
  const auto &A = *of<Layout>(a), &B = *of<Layout>(b), &C = *of<Layout>(c), &D = *of<Layout>(d);
  const bool *transposed = of<Operation>(operation)->transposed, turnA = transposed[0], turnB = transposed[1];
  if (A.type != B.type || (A.type != LT_BF16 && A.type != LT_HALF) || C.type != LT_F32 || D.type != LT_F32) return LT_NOT_SUPPORTED;
  if ((turnA ? A.cols : A.rows) != D.rows || (turnB ? B.rows : B.cols) != D.cols || (turnA ? A.rows : A.cols) != (turnB ? B.cols : B.rows) ||
      C.rows != D.rows || C.cols != D.cols)
    return LT_INVALID_VALUE;
  *found = static_cast<int>(mock::setting("CRIA_MOCK_LT_SEARCH", 1));
  *best = {};
  best->workspace = of<Preference>(preference)->workspace;
  std::memcpy(best->algorithm.data, &best->workspace, 8);
  std::memcpy(&best->algorithm.data[1], of<Preference>(preference)->aligned, 16);
  return LT_OK;
}

API cublasLtMatmul(LtHandle, LtOperation operation, const void* alpha, const void* a, LtLayout layoutA, const void* b, LtLayout layoutB,
                   const void* beta, const void* c, LtLayout layoutC, void* d, LtLayout layoutD, const LtAlgorithm* algorithm, void* workspace,
                   size_t workspaceBytes, CuStream stream) {
  if (const long status = mock::setting("CRIA_MOCK_LT_MATMUL", 0)) return static_cast<LtStatus>(status);
  const auto &A = *of<Layout>(layoutA), &B = *of<Layout>(layoutB), &C = *of<Layout>(layoutC), &D = *of<Layout>(layoutD);
  const void* addresses[] = {a, b, c, d};
  const size_t bytes[] = {bytesOf(A), bytesOf(B), bytesOf(C), bytesOf(D)};
  unsigned aligned[4];
  std::memcpy(aligned, &algorithm->data[1], sizeof aligned);
  for (int i = 0; i < 4; i++) {
    const auto address = reinterpret_cast<CuAddress>(addresses[i]);
    if (address % aligned[i] != 0 || !mock::isBuffer(address, bytes[i])) return LT_INVALID_VALUE;
  }
  const auto wanted = static_cast<size_t>(algorithm->data[0]);
  if (workspaceBytes < wanted || reinterpret_cast<CuAddress>(workspace) % 256 != 0 || !mock::isBuffer(reinterpret_cast<CuAddress>(workspace), wanted)) return LT_INVALID_VALUE;
  const bool turnA = of<Operation>(operation)->transposed[0], turnB = of<Operation>(operation)->transposed[1];
  const float times = *static_cast<const float*>(alpha), before = *static_cast<const float*>(beta);
  const size_t rows = D.rows, cols = D.cols, depth = turnA ? A.rows : A.cols, stepD = D.ld, type = A.type;
  const size_t rowA = turnA ? A.ld : 1, stepA = turnA ? 1 : A.ld, stepB = turnB ? B.ld : 1, colB = turnB ? 1 : B.ld;
  const CuResult queued = mock::enqueue(stream, [=] {
    // whatever an algorithm needs is gone afterwards
    std::memset(workspace, 0xff, wanted);
    auto* out = static_cast<float*>(d);
    for (size_t j = 0; j < cols; j++)
      for (size_t i = 0; i < rows; i++) {
        float sum = 0;
        for (size_t k = 0; k < depth; k++) sum += number(type, a, i * rowA + k * stepA) * number(type, b, k * stepB + j * colB);
        float& at = out[i + j * stepD];
        at = times * sum + (before == 0 ? 0 : before * at);
      }
    return CU_OK;
  });
  return queued == CU_OK ? LT_OK : LT_EXECUTION_FAILED;
}
