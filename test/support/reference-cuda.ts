import type { Buf, Tensor } from '../../host/backend.ts';
import { halfToNumber } from '../../host/half.ts';
import { bf16Bits, f16Bits, f32FromBits } from '../../host/quantize/floats.ts';
import { TrainReference } from '../../host/train/reference.ts';

/** host/cuda.ts: more tokens meet weights on tensor cores. */
const FEW = 8;

/** The reference with operands rounded where the CUDA backend rounds them, so that what differs is the rounding of sums. */
export class ReferenceCuda extends TrainReference {
  readonly #precision: 'f32' | 'bf16';

  /** @param precision of the products of training */
  constructor(precision: 'f32' | 'bf16' = 'f32') {
    super({ roundAsGpu: true });
    this.#precision = precision;
  }

  override matmul(out: Buf, x: Buf, w: Tensor, n: number): void {
    const { dtype, rows, cols } = w;
    if (n <= FEW || dtype === 'f32') super.matmul(out, x, w, n);
    else if (dtype === 'f16') super.matmul(out, this.#keep(halves(this.floats(x), n, cols)), w, n);
    else {
      const weights = { buf: this.#keep(this.weights(w).map(bf16)), dtype: 'f32' as const, rows, cols };
      super.matmul(out, this.#bf16(x, n * cols), weights, n);
    }
  }

  override matmulForward(out: Buf, x: Buf, w: Tensor, n: number): void {
    super.matmulForward(out, this.#operand(x, n * w.cols), this.#tensor(w), n);
  }

  override matmulBackwardX(dX: Buf, dOut: Buf, w: Tensor, n: number): void {
    super.matmulBackwardX(dX, this.#operand(dOut, n * w.rows), this.#tensor(w), n);
  }

  override matmulBackwardW(dW: Tensor, dOut: Buf, x: Buf, n: number): void {
    super.matmulBackwardW(dW, this.#operand(dOut, n * dW.rows), this.#operand(x, n * dW.cols), n);
  }

  #operand(buf: Buf, count: number): Buf {
    return this.#precision === 'bf16' ? this.#bf16(buf, count) : buf;
  }

  #tensor(w: Tensor): Tensor {
    return { ...w, buf: this.#operand(w.buf, w.rows * w.cols) };
  }

  #bf16(buf: Buf, count: number): Buf {
    return this.#keep(this.floats(buf).subarray(0, count).map(bf16));
  }

  #keep(values: Float64Array): Buf {
    return this.buffers.push(values) - 1;
  }
}

const bf16 = (x: number) => f32FromBits(bf16Bits(x) << 16);

/** Rows of x (n, cols) as halves times the power of two that brings the largest to 2^14 … 2^15. */
function halves(x: Float64Array, n: number, cols: number): Float64Array {
  const out = new Float64Array(n * cols);
  for (let i = 0; i < n; i++) {
    const row = Float32Array.from(x.subarray(i * cols, (i + 1) * cols));
    const largest = Math.max(...row.map(Math.abs));
    const scale = 2 ** (Math.max(-112, Math.floor(Math.log2(largest))) - 14);
    for (const [j, v] of row.entries()) out[i * cols + j] = halfToNumber(f16Bits(v / scale)) * scale;
  }
  return out;
}
