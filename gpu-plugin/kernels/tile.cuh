// A tile of a product of matrices: a block of ACROSS² threads multiplies what is in shared memory, in f32.
#pragma once
#include "portable.cuh"

/** Numbers of a side, and values of k that are in shared memory at once. */
constexpr int TILE = 64, STEP = 32;
/** A thread has OWN × OWN numbers of a tile, TILE / OWN apart. */
constexpr int OWN = 4, ACROSS = TILE / OWN;

/** Where in the tile the thread's number (i, j) is. */
DEVICE int downOf(int i) { return threadIdx.x / ACROSS + i * ACROSS; }
DEVICE int acrossOf(int j) { return threadIdx.x % ACROSS + j * ACROSS; }

/** sums += down · across;  both (STEP, TILE + 1): a column more, so that no two threads meet in a bank */
DEVICE void addProducts(float sums[OWN][OWN], const float* down, const float* across) {
  for (int k = 0; k < STEP; k++) {
    float a[OWN], b[OWN];
#pragma unroll
    for (int i = 0; i < OWN; i++) {
      a[i] = down[k * (TILE + 1) + downOf(i)];
      b[i] = across[k * (TILE + 1) + acrossOf(i)];
    }
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
      for (int j = 0; j < OWN; j++) sums[i][j] += a[i] * b[j];
  }
}
