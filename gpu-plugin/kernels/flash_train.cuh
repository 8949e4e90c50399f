// What attention_train.cu does, in tiles, from operands rounded to bf16; sums, results and gradients are f32. Heads of a kv head stand
// together: row r of a sequence is head r % group of token r / group, and looks at the keys up to that token. No sum is made by more
// than one block.
#pragma once
#include "flash_forward.cuh"

/** Rows of a block, queries or keys: 16 a warp. */
constexpr int OWN_ROWS = 16 * FLASH_WARPS;

/** A sequence and a kv head (gridY), and which of the sequence's `tiles` the block has (gridX: those of all sequences). */
struct Part {
  /** Where the sequence's queries and the kv head's keys begin, in heads. */
  size_t queries, keys;
  HeadRows rows;
  /** Rows of queries, and heads between a key and the next. */
  int count, apart;
  int tile;
};

DEVICE Part partOf(int tiles, int T, int heads, int kvHeads) {
  const int g = blockIdx.y, group = heads / kvHeads, tile = blockIdx.x % tiles;
  const size_t token = static_cast<size_t>(blockIdx.x / tiles) * T;
  return {token * heads, token * kvHeads + g, {heads, g * group, group}, T * group, kvHeads, tile};
}

DEVICE int tilesOf(int rows) { return (rows + OWN_ROWS - 1) / OWN_ROWS; }

/** Rows `first` … of queries, or what has their shape, into a tile. */
template <int D, int ROWS>
DEVICE void bringQueries(uint4* tile, const float* all, const Part& part, int first, int headDim) {
  bring<Bf16s, F32, D, ROWS>(tile, headDim, [&](int r) {
    const float* row = all + (part.queries + headOf(part.rows, first + r)) * headDim;
    return first + r < part.count ? reinterpret_cast<const uint8_t*>(row) : nullptr;
  });
}

/** Rows `first` … of T keys or values into a tile. */
template <int D, int ROWS>
DEVICE void bringKeys(uint4* tile, const float* all, const Part& part, int first, int T, int headDim) {
  bring<Bf16s, F32, D, ROWS>(tile, headDim, [&](int j) {
    const float* row = all + (part.keys + static_cast<size_t>(first + j) * part.apart) * headDim;
    return first + j < T ? reinterpret_cast<const uint8_t*>(row) : nullptr;
  });
}

/** head += scale · sums, by the lane's numbers of row g of its warp's 16 (half 0) or g + 8. */
template <int D>
DEVICE void addRow(float* head, const float (&sums)[1][D / 8][4], int half, float scale, int headDim) {
#pragma unroll
  for (int j = 0; j < D / 8; j++) {
    if (8 * j >= headDim) break;
    float2* two = reinterpret_cast<float2*>(head + 8 * j + threadIdx.x % 4 * 2);
    *two = {two->x + scale * sums[0][j][2 * half], two->y + scale * sums[0][j][2 * half + 1]};
  }
}

#define FOR_EACH_TRAINED_SIZE(X) X(64) X(128)
