#include "gemm.cuh"

// a (m, depth) · b (n, depth)ᵀ for few rows of a, where reading b is what takes time: b comes as it is stored.

using SmallLeft = Copied<SmallTile::M, SmallTile::THREADS, false>;
using SmallRight = Copied<SmallTile::N, SmallTile::THREADS, false>;
template <class F>
using SmallUnpacked = Unpacked<F, SmallTile::N, SmallTile::THREADS>;

GEMM(gemm_few_bf16, SmallTile, Bf16s, SmallLeft, SmallRight)
GEMM(gemm_few_f16, SmallTile, Halves, SmallLeft, SmallRight)

#define GEMM_FEW(dtype, Format) GEMM(gemm_few_##dtype, SmallTile, Bf16s, SmallLeft, SmallUnpacked<Format>)
FOR_EACH_QUANTISED(GEMM_FEW)
