// Products of matrices by cuBLASLt, where there is one.
#pragma once
#include <map>
#include <memory>
#include <tuple>

#include "blaslt_api.h"

/**
 * out (m, n) = (add ? out : 0) + a · b, row-major and f32; a (m, k) and b (k, n) of 16 bits, row-major, or transposed: a stored
 * as (k, m), b as (n, k).
 */
struct Product {
  /** LT_BF16 or LT_HALF */
  int format;
  bool transposedA, transposedB, add;
  CuAddress out, a, b, workspace;
  size_t workspaceBytes;
  int m, n, k;
};

/** The library, kept open to the end of the process. */
struct BlasLt {
#define LT_DECLARE(name, arguments) LtStatus(*name) arguments = nullptr;
  LT_API(LT_DECLARE)
#undef LT_DECLARE

  /** Null where there is none; looked for once, where the environment's CRIA_CUBLASLT says (optional.h). */
  static const BlasLt* open();
};

/** Products on the device whose context was current when this was made. */
class Gemm {
 public:
  /** Null where there is no library that works. */
  static std::unique_ptr<Gemm> create();
  ~Gemm();
  Gemm(const Gemm&) = delete;

  /** Throws CudaFailure 'failed'. */
  void run(const Product& product, CuStream stream);

 private:
  /** How products of one shape are computed. */
  struct Plan {
    explicit Plan(const BlasLt& library) : library(library) {}
    ~Plan();
    Plan(const Plan&) = delete;

    const BlasLt& library;
    LtOperation operation = nullptr;
    LtLayout a = nullptr, b = nullptr, out = nullptr;
    LtAlgorithm algorithm{};
  };
  /** Format, transposed a and b, m, n, k, and what the addresses of out, a and b are multiples of. */
  using Shape = std::tuple<int, bool, bool, int, int, int, unsigned, unsigned, unsigned>;

  Gemm(const BlasLt& library, LtHandle handle) : library_(library), handle_(handle) {}
  std::unique_ptr<Plan> plan(const Product& product) const;

  const BlasLt& library_;
  LtHandle handle_;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
};
