#include "rope.cuh"

/**
 * Rows first … of table[p][i] = (cos a, sin a) with a = p/scale · base^(−2i/headDim) / factors[i];  table (positions, half, 2),
 * factors (half) or null. In f64, since angles grow to millions. gridX · blockDim.x threads for `count` rows.
 */
KERNEL rope_table(float* table, const float* factors, int first, int count, int half, double base, double scale) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= count * half) return;
  const int i = at % half, p = first + at / half;
  const double angle = p / scale * pow(base, -static_cast<double>(i) / half) / (factors ? factors[i] : 1.0f);
  float* pair = table + 2 * (static_cast<size_t>(p) * half + i);
  pair[0] = static_cast<float>(cos(angle));
  pair[1] = static_cast<float>(sin(angle));
}
REGISTER_KERNEL(rope_table);

/** Turns the pairs (x[2i], x[2i+1]) by table[positions[t]][i] or, `by` being −1, back, in place;  x (n, heads, half, 2). gridX tokens. */
DEVICE void turnPairs(float* x, const int* positions, const float* table, int heads, int half, float by) {
  const int at = blockIdx.y * blockDim.x + threadIdx.x, t = blockIdx.x;
  if (at >= heads * half) return;
  float* pair = x + 2 * (static_cast<size_t>(t) * heads * half + at);
  const float2 now = turned(pair[0], pair[1], turnsOf(table, positions[t], half) + 2 * (at % half), by);
  pair[0] = now.x;
  pair[1] = now.y;
}

KERNEL rope(float* x, const int* positions, const float* table, int heads, int half) {
  turnPairs(x, positions, table, heads, half, 1);
}
REGISTER_KERNEL(rope);

/** Back, as a gradient goes. */
KERNEL rope_backward(float* dX, const int* positions, const float* table, int heads, int half) {
  turnPairs(dX, positions, table, heads, half, -1);
}
REGISTER_KERNEL(rope_backward);
