// What each kernel must read and write, by its arguments: every number once, whatever caches make of it. One entry a family of kernels.

import { BLOCK, type DType, rowBytes } from '../../host/dtype.ts';
import type { Launch, Recorder } from './recorder.ts';

/** Bytes from an address on. */
export type Access = readonly [address: number, bytes: number];

export interface Work {
  reads: Access[];
  writes: Access[];
  /** Multiplications and additions of products; those of norms, angles and exponents are not counted. */
  flops: number;
}

interface Call extends Launch {
  /** The last part of the name, of families that have a kernel for each format. */
  dtype: DType;
  device: Recorder;
}

export type Formula = (call: Call) => Work;

/** Formulas take a kernel's arguments in the order of its source. */
type Values = number[] & Record<number, number>;

const work = (reads: Access[], writes: Access[], flops = 0): Work => ({ reads, writes, flops });

/** a (count) and b (count) make out (count). */
const elementwise: Formula = ({ values }) => {
  const [out, a, b, count] = values as Values;
  return work(
    [
      [a!, 4 * count!],
      [b!, 4 * count!],
    ],
    [[out!, 4 * count!]],
  );
};

/** out (n, rows) = x (n, cols) · wᵀ */
const product: Formula = ({ values, dtype }) => {
  const [out, x, w, n, rows, cols] = values as Values;
  return work(
    [
      [w!, rows! * rowBytes(dtype, cols!)],
      [x!, 4 * n! * cols!],
    ],
    [[out!, 4 * n! * rows!]],
    2 * n! * rows! * cols!,
  );
};

export const FORMULAS: Record<string, Formula> = {
  add: elementwise,
  append({ gridY: n, values, dtype }) {
    const [cache, x, slots, positions, kvHeads, headDim] = values as Values;
    return work(
      [
        [x!, 4 * n * kvHeads! * headDim!],
        [slots!, 4 * n],
        [positions!, 4 * n],
      ],
      [[cache!, n * kvHeads! * rowBytes(dtype, headDim!)]],
    );
  },
  attention({ gridY: n, values, dtype, device }) {
    const [out, q, keys, cached, slotsAt, positionsAt, heads, kvHeads, , , headDim] = values as Values;
    const [slots, positions] = [device.integers(slotsAt!, n), device.integers(positionsAt!, n)];
    /** Positions of each slot that are looked at. */
    const reach = new Map<number, number>();
    let seen = 0;
    for (const [i, slot] of slots.entries()) {
      reach.set(slot, Math.max(reach.get(slot) ?? 0, positions[i]! + 1));
      seen += positions[i]! + 1;
    }
    const rows = [...reach.values()].reduce((sum, count) => sum + count, 0);
    const bytes = rows * kvHeads! * rowBytes(dtype, headDim!);
    return work(
      [
        [q!, 4 * n * heads! * headDim!],
        [keys!, bytes],
        [cached!, bytes],
        [slotsAt!, 4 * n],
        [positionsAt!, 4 * n],
      ],
      [[out!, 4 * n * heads! * headDim!]],
      4 * seen * heads! * headDim!,
    );
  },
  embedding({ gridX: n, values, dtype }) {
    const [out, tokens, table, cols] = values as Values;
    return work(
      [
        [table!, n * rowBytes(dtype, cols!)],
        [tokens!, 4 * n],
      ],
      [[out!, 4 * n * cols!]],
    );
  },
  matmul: product,
  matvec: product,
  matvec8({ values, dtype }) {
    const [out, q, scales, w, n, rows, cols] = values as Values;
    return work(
      [
        [w!, rows! * rowBytes(dtype, cols!)],
        [q!, n! * cols!],
        [scales!, (n! * cols!) / 8],
      ],
      [[out!, 4 * n! * rows!]],
      2 * n! * rows! * cols!,
    );
  },
  rmsnorm({ gridX: n, values }) {
    const [out, x, weight, dim] = values as Values;
    return work(
      [
        [x!, 4 * n * dim!],
        [weight!, 4 * dim!],
      ],
      [[out!, 4 * n * dim!]],
    );
  },
  rope({ gridX: n, values }) {
    const [x, positions, table, heads, half] = values as Values;
    return work(
      [
        [x!, 8 * n * heads! * half!],
        [table!, 8 * n * half!],
        [positions!, 4 * n],
      ],
      [[x!, 8 * n * heads! * half!]],
    );
  },
  round_activations({ values }) {
    const [q, scales, x, count] = values as Values;
    return work(
      [[x!, 4 * count!]],
      [
        [q!, count!],
        [scales!, count! / 8],
      ],
    );
  },
  /** Candidates after the cut to the topK largest, twice: to sum and to draw. */
  sample({ values }) {
    const [id, keys, logits, vocab, , topK] = values as Values;
    const candidates = topK! > 0 ? Math.min(topK!, vocab!) : vocab!;
    return work(
      [
        [keys!, 8 * candidates],
        [logits!, 4 * candidates],
      ],
      [[id!, 4]],
    );
  },
  sort_logits({ values }) {
    const [keys, logits, vocab, size] = values as Values;
    return work([[logits!, 4 * vocab!]], [[keys!, 8 * size!]]);
  },
  swiglu: elementwise,
  take_rows({ gridY: n, values }) {
    const [out, x, rows, dim] = values as Values;
    return work(
      [
        [x!, 4 * n * dim!],
        [rows!, 4 * n],
      ],
      [[out!, 4 * n * dim!]],
    );
  },
};

/** A kernel's formula, and the format in its name. @throws Error that says what to add */
export function formulaOf(name: string): [formula: Formula, dtype: DType] {
  for (const [family, formula] of Object.entries(FORMULAS)) {
    const rest = name.slice(family.length + 1);
    if (name === family || (name === `${family}_${rest}` && rest in BLOCK)) return [formula, rest as DType];
  }
  throw new Error(
    `kernel ${name}: no formula. Add to FORMULAS in gpu-plugin/evidence/traffic.ts what it must read and write by its arguments.`,
  );
}

/** @throws Error for a kernel that no formula speaks of */
export function workOf(launch: Launch, device: Recorder): Work {
  const [formula, dtype] = formulaOf(launch.name);
  return formula({ ...launch, dtype, device });
}
