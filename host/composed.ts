import type { Backend, Buf, Cache, Tensor } from './backend.ts';

type Of<Name extends keyof Backend> = Backend[Name] extends (...args: infer Args) => void ? Args : never;

/** The ops that are lists of others, one by one: what they are in `reference.ts`, and how the CPU does them best. */
export abstract class Composed {
  abstract rmsnorm(...args: Of<'rmsnorm'>): void;
  abstract matmul(...args: Of<'matmul'>): void;
  abstract rope(...args: Of<'rope'>): void;
  abstract append(...args: Of<'append'>): void;
  abstract gather(...args: Of<'gather'>): void;
  abstract swiglu(...args: Of<'swiglu'>): void;
  abstract add(...args: Of<'add'>): void;

  normedMatmuls(outs: Buf[], normed: Buf, x: Buf, norm: Tensor, ws: Tensor[], n: number, eps: number): void {
    this.rmsnorm(normed, x, norm, n, norm.cols, eps);
    for (const [i, w] of ws.entries()) this.matmul(outs[i]!, normed, w, n);
  }

  gatedMatmul(
    out: Buf,
    other: Buf,
    normed: Buf,
    x: Buf,
    norm: Tensor,
    gate: Tensor,
    up: Tensor,
    n: number,
    eps: number,
  ): void {
    this.rmsnorm(normed, x, norm, n, norm.cols, eps);
    this.matmul(out, normed, gate, n);
    this.matmul(other, normed, up, n);
    this.swiglu(out, out, other, n * gate.rows);
  }

  addMatmul(
    out: Buf,
    product: Buf,
    part: Buf,
    x: Buf,
    w: Tensor,
    n: number,
    width: number,
    first: number,
  ): void {
    this.matmul(part, x, w, n);
    this.gather(product, part, n, width, first, w.rows);
    this.add(out, out, product, n * width);
  }

  ropeAppend(
    q: Buf,
    k: Buf,
    v: Buf,
    keys: Cache,
    values: Cache,
    slots: Buf,
    positions: Buf,
    table: Buf,
    n: number,
    heads: number,
  ): void {
    this.rope(q, positions, table, n, heads, keys.headDim);
    this.rope(k, positions, table, n, keys.kvHeads, keys.headDim);
    this.append(keys, k, slots, positions, n);
    this.append(values, v, slots, positions, n);
  }

  repeat(_owner: object, _key: string, ops: () => void): void {
    ops();
  }
}
