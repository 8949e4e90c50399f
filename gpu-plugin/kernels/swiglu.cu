#include "portable.cuh"

/** out = gate · σ(gate) · up;  all (count) */
KERNEL swiglu(float* out, const float* gate, const float* up, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}
REGISTER_KERNEL(swiglu);
