#include "blaslt.h"

#include <dlfcn.h>

#include <mutex>

#include "driver.h"
#include "optional.h"

namespace {

std::unique_ptr<BlasLt> load(const std::string& place) {
  void* handle = openOptional(place, {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"},
                              {"nvidia/cu13/lib", "nvidia/cublas/lib", "cu13/lib", "cublas/lib"})
                     .handle;
  if (!handle) return nullptr;
  auto library = std::make_unique<BlasLt>();
  bool whole = true;
#define LT_FIND(name, arguments) \
  *reinterpret_cast<void**>(&library->name) = dlsym(handle, #name); \
  whole = whole && library->name;
  LT_API(LT_FIND)
#undef LT_FIND
  if (whole) return library;
  dlclose(handle);
  return nullptr;
}

void check(LtStatus status, const char* call) {
  if (status == LT_OK) return;
  throw CudaFailure("failed", std::string(call) + ": cublasStatus_t " + std::to_string(status));
}

/** Bytes that an address is a multiple of, as far as it matters. */
unsigned alignment(CuAddress address) { return static_cast<unsigned>((address | 256) & -(address | 256)); }

}  // namespace

const BlasLt* BlasLt::open() {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<BlasLt>> opened;
  std::lock_guard<std::mutex> lock(mutex);
  const std::string place = placeOf("CRIA_CUBLASLT");
  auto found = opened.find(place);
  if (found == opened.end()) found = opened.emplace(place, load(place)).first;
  return found->second.get();
}

std::unique_ptr<Gemm> Gemm::create() {
  const BlasLt* library = BlasLt::open();
  LtHandle handle;
  if (!library || library->cublasLtCreate(&handle) != LT_OK) return nullptr;
  return std::unique_ptr<Gemm>(new Gemm(*library, handle));
}

Gemm::~Gemm() {
  plans_.clear();
  library_.cublasLtDestroy(handle_);
}

Gemm::Plan::~Plan() {
  for (LtLayout layout : {a, b, out})
    if (layout) library.cublasLtMatrixLayoutDestroy(layout);
  if (operation) library.cublasLtMatmulDescDestroy(operation);
}

/**
 * The library's matrices are column-major: ours are their transposes there, so it is given outᵀ = bᵀ · aᵀ, whose first operand is
 * our b and whose second our a.
 */
std::unique_ptr<Gemm::Plan> Gemm::plan(const Product& product) const {
  auto plan = std::make_unique<Plan>(library_);
  const auto [format, transposedA, transposedB, add, out, a, b, workspace, workspaceBytes, m, n, k] = product;
  check(library_.cublasLtMatmulDescCreate(&plan->operation, LT_COMPUTE_F32, LT_F32), "cublasLtMatmulDescCreate");
  const auto turn = [&](int which, bool transposed) {
    const int operation = transposed ? LT_TRANSPOSED : LT_AS_IT_IS;
    check(library_.cublasLtMatmulDescSetAttribute(plan->operation, which, &operation, sizeof operation), "cublasLtMatmulDescSetAttribute");
  };
  turn(LT_TRANSPOSE_A, transposedB);
  turn(LT_TRANSPOSE_B, transposedA);
  const auto layout = [&](LtLayout* made, int type, int rows, int cols) {
    check(library_.cublasLtMatrixLayoutCreate(made, type, cols, rows, cols), "cublasLtMatrixLayoutCreate");
  };
  layout(&plan->a, format, transposedA ? k : m, transposedA ? m : k);
  layout(&plan->b, format, transposedB ? n : k, transposedB ? k : n);
  layout(&plan->out, LT_F32, m, n);

  LtPreference made;
  check(library_.cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const std::unique_ptr<LtPreferenceOpaque, LtStatus (*)(LtPreference)> preference(made, library_.cublasLtMatmulPreferenceDestroy);
  const auto prefer = [&](int which, const auto& value) {
    check(library_.cublasLtMatmulPreferenceSetAttribute(made, which, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(LT_MOST_WORKSPACE, static_cast<unsigned long long>(workspaceBytes));
  prefer(LT_ALIGN_A, alignment(b));
  prefer(LT_ALIGN_B, alignment(a));
  prefer(LT_ALIGN_C, alignment(out));
  prefer(LT_ALIGN_D, alignment(out));
  LtHeuristic best;
  int found = 0;
  check(library_.cublasLtMatmulAlgoGetHeuristic(handle_, plan->operation, plan->b, plan->a, plan->out, plan->out, made, 1, &best, &found),
        "cublasLtMatmulAlgoGetHeuristic");
  check(found == 0 ? LT_NOT_SUPPORTED : best.state, "cublasLtMatmulAlgoGetHeuristic");
  plan->algorithm = best.algorithm;
  return plan;
}

void Gemm::run(const Product& product, CuStream stream) {
  const auto [format, transposedA, transposedB, add, out, a, b, workspace, workspaceBytes, m, n, k] = product;
  std::unique_ptr<Plan>& known = plans_[{format, transposedA, transposedB, m, n, k, alignment(out), alignment(a), alignment(b)}];
  if (!known) known = plan(product);
  const float one = 1, before = add ? 1 : 0;
  const auto at = [](CuAddress address) { return reinterpret_cast<void*>(address); };
  check(library_.cublasLtMatmul(handle_, known->operation, &one, at(b), known->b, at(a), known->a, &before, at(out), known->out,
                                at(out), known->out, &known->algorithm, at(workspace), workspaceBytes, stream),
        "cublasLtMatmul");
}
