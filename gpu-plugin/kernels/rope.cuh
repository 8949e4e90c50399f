#pragma once
#include "portable.cuh"

/** (a, b) turned by (cosine, sine) or, `by` being −1, back. */
DEVICE float2 turned(float a, float b, const float* turn, float by) {
  const float sine = by * turn[1];
  return {a * turn[0] - b * sine, a * sine + b * turn[0]};
}

/** The turns of a position, (half, 2). */
DEVICE const float* turnsOf(const float* table, int position, int half) { return table + 2 * static_cast<size_t>(position) * half; }
