#include "portable.cuh"

/** out = gate · σ(gate) · up;  all (count) */
KERNEL swiglu(float* out, const float* gate, const float* up, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}
REGISTER_KERNEL(swiglu);

/** dUp += dOut · gate · s; dGate += dOut · up · s · (1 + gate · (1 − s)) with s = σ(gate);  all (count) */
KERNEL swiglu_backward(float* dGate, float* dUp, const float* dOut, const float* gate, const float* up, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const float g = gate[i], s = 1 / (1 + expf(-g)), d = dOut[i] * s;
  dUp[i] += d * g;
  dGate[i] += d * up[i] * (1 + g * (1 - s));
}
REGISTER_KERNEL(swiglu_backward);
