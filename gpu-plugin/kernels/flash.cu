#include "flash_forward.cuh"
#include "runs.cuh"

/**
 * What attention.cu does, for the tokens that stand in runs of one sequence, in halves: a block has FLASH_ROWS rows of the heads that
 * look at a kv head (gridY) of the caches, all of one chunk of the batch, and goes through the runs among them one by one. What a half
 * does not hold becomes infinite; a value that is not finite also reaches tokens of its sequence that stand in the same tile before it.
 */
template <class F, int D>
DEVICE void flash(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, const int* positions, int n,
                  int heads, int kvHeads, int group, int before, int headDim, int capacity) {
  DYNAMIC_SHARED(uint4, shared);
  const int g = blockIdx.y, head = max(0, g * group - before);
  const HeadRows rows = {heads, head, min(heads, (g + 1) * group - before) - head};
  // the tiles with most keys first
  const int first = (gridDim.x - 1 - blockIdx.x) * FLASH_ROWS<F, D>, end = min(first + FLASH_ROWS<F, D>, n * rows.width);
  if (first >= end) return;
  bring<Halves, F32, D, FLASH_ROWS<F, D>>(shared, headDim, [&](int r) {
    return first + r < end ? reinterpret_cast<const uint8_t*>(q + headOf(rows, first + r) * headDim) : nullptr;
  });
  const size_t stride = storedBytes<F>(headDim);
  Run run;
  for (int t = first / rows.width; t * rows.width < end; t = run.end) {
    run = runOf(slots, positions, t, n);
    if (!isLong(run)) continue;
    const size_t at = (static_cast<size_t>(slots[t]) * kvHeads + g) * capacity * stride;
    flashForward<Halves, F, D>(out, nullptr, shared, rows, first, run.begin * rows.width, run.end * rows.width, positions[t] - t,
                               keys + at, values + at, stride, headDim);
  }
}

#define FLASH(dtype, Format, D) \
  KERNEL __launch_bounds__(FLASH_THREADS, 2) \
      flash_##D##_##dtype(float* out, const float* q, const uint8_t* keys, const uint8_t* values, const int* slots, const int* positions, \
                          int n, int heads, int kvHeads, int group, int before, int headDim, int capacity) { \
    flash<Format, D>(out, q, keys, values, slots, positions, n, heads, kvHeads, group, before, headDim, capacity); \
  } \
  REGISTER_KERNEL(flash_##D##_##dtype);
#define FLASH_SIZES(dtype, Format) FLASH(dtype, Format, 64) FLASH(dtype, Format, 128) FLASH(dtype, Format, 256)
FOR_EACH_CACHE_FORMAT(FLASH_SIZES)
