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

/** Bytes of count activations that are rounded to eight bits, and of their factors: two f32 for each 16. */
const rounded = (q: number, factors: number, count: number): Access[] => [
  [q, count],
  [factors, count / 2],
];

/** outs[i] (n, rows[i]) = or += x (n, cols) · ws[i]ᵀ, up to three of them; rounded x has factors too. */
const matvec =
  (tokens: 1 | 2): Formula =>
  ({ values, dtype }) => {
    const [outs, ws, rows] = [values.slice(0, 3), values.slice(3, 6), values.slice(6, 9)];
    const [n, cols, adds] = values.slice(9 + tokens) as Values;
    const writes = rows.map((count, i): Access => [outs[i]!, 4 * n! * count]);
    const x = values.slice(9, 9 + tokens) as Values;
    return work(
      [
        ...rows.map((count, i): Access => [ws[i]!, count * rowBytes(dtype, cols!)]),
        ...(tokens === 1 ? [[x[0]!, 4 * n! * cols!] as const] : rounded(x[0]!, x[1]!, n! * cols!)),
        ...(adds ? writes : []),
      ],
      writes,
      2 * n! * rows.reduce((sum, count) => sum + count, 0) * cols!,
    );
  };

/** out (n, rows) = silu(x (n, cols) · gateᵀ) · (x · upᵀ) */
const gated =
  (tokens: 1 | 2): Formula =>
  ({ values, dtype }) => {
    const [out, gate, up, rows] = values as Values;
    const [n, cols] = values.slice(4 + tokens) as Values;
    const x = values.slice(4, 4 + tokens) as Values;
    const bytes = rows! * rowBytes(dtype, cols!);
    return work(
      [
        [gate!, bytes],
        [up!, bytes],
        ...(tokens === 1 ? [[x[0]!, 4 * n! * cols!] as const] : rounded(x[0]!, x[1]!, n! * cols!)),
      ],
      [[out!, 4 * n! * rows!]],
      4 * n! * rows! * cols!,
    );
  };

export const FORMULAS: Record<string, Formula> = {
  add: elementwise,
  attention_combine({ gridY: n, values }) {
    const [out, parts, splits, heads, headDim] = values as Values;
    return work([[parts!, 4 * n * heads! * splits! * (headDim! + 2)]], [[out!, 4 * n * heads! * headDim!]]);
  },
  attention({ gridY: n, values, ...call }) {
    const [out, q, keys, cached, slots, positions, heads, kvHeads, , , headDim] = values as Values;
    const buffers: AttentionBuffers = [q!, keys!, cached!, slots!, positions!];
    const { reads, tokens, flops } = attended(call, n, buffers, heads!, kvHeads!, headDim!, false);
    return work(reads, [[out!, 4 * tokens * heads! * headDim!]], flops);
  },
  attention_split({ gridY, values, ...call }) {
    const [parts, q, keys, cached, slots, positions, splits, heads, kvHeads, , , headDim] = values as Values;
    const buffers: AttentionBuffers = [q!, keys!, cached!, slots!, positions!];
    const { reads, tokens, flops } = attended(
      call,
      gridY / splits!,
      buffers,
      heads!,
      kvHeads!,
      headDim!,
      false,
    );
    return work(reads, [[parts!, 4 * tokens * heads! * splits! * (headDim! + 2)]], flops);
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
  flash_128({ values, ...call }) {
    const [out, q, keys, cached, slots, positions, n, heads, kvHeads, , , headDim] = values as Values;
    const buffers: AttentionBuffers = [q!, keys!, cached!, slots!, positions!];
    const { reads, flops } = attended(call, n!, buffers, heads!, kvHeads!, headDim!, true);
    return work(reads, [[out!, 4 * n! * heads! * headDim!]], flops);
  },
  /** a (m, k) · b (n, k)ᵀ of 16-bit numbers, in gridY parts of k */
  gemm_nt({ gridY: parts, values }) {
    const [out, a, b, scales, m, n, k] = values as Values;
    return work(
      [
        [a!, 2 * m! * k!],
        [b!, 2 * n! * k!],
        [scales!, scales ? 4 * m! : 0],
      ],
      [[out!, 4 * parts * m! * n!]],
      2 * m! * n! * k!,
    );
  },
  matvec_one: matvec(1),
  matvec_gated_one: gated(1),
  matvec8_one: matvec(2),
  matvec8_gated_one: gated(2),
  /** Candidates, 2,048 to a block, with those behind the vocabulary. */
  merge_runs({ gridX, threads, values }) {
    const [keys, runs] = values as Values;
    return work([[runs!, 8 * gridX * threads]], [[keys!, 8 * gridX * threads]]);
  },
  /** The parts of k together. */
  gemm_sum({ values }) {
    const [out, parts, scales, count, m, n, , add] = values as Values;
    const numbers = 4 * m! * n!;
    return work(
      [
        [parts!, count! * numbers],
        [scales!, scales ? 4 * m! : 0],
        [out!, add ? numbers : 0],
      ],
      [[out!, numbers]],
    );
  },
  /** Stored rows as 16-bit numbers. */
  narrow({ gridX: rows, values, dtype }) {
    const [out, stored, cols] = values as Values;
    return work([[stored!, rows * rowBytes(dtype, cols!)]], [[out!, 2 * rows * cols!]]);
  },
  narrow_scaled({ values }) {
    const [out, scales, x, n, cols] = values as Values;
    return work(
      [[x!, 4 * n! * cols!]],
      [
        [out!, 2 * n! * cols!],
        [scales!, 4 * n!],
      ],
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
  rmsnorm_round({ gridX: n, values }) {
    const [q, factors, x, weight, dim] = values as Values;
    return work(
      [
        [x!, 4 * n * dim!],
        [weight!, 4 * dim!],
      ],
      rounded(q!, factors!, n * dim!),
    );
  },
  rope_append({ gridY: n, values, dtype }) {
    const [q, k, v, keys, cached, slots, positions, table, heads, kvHeads, headDim] = values as Values;
    const [queries, rows] = [4 * n * heads! * headDim!, n * kvHeads! * rowBytes(dtype, headDim!)];
    return work(
      [
        [q!, queries],
        [k!, 4 * n * kvHeads! * headDim!],
        [v!, 4 * n * kvHeads! * headDim!],
        [table!, 4 * n * headDim!],
        [slots!, 4 * n],
        [positions!, 4 * n],
      ],
      [
        [q!, queries],
        [keys!, rows],
        [cached!, rows],
      ],
    );
  },
  round_activations({ values }) {
    const [q, factors, x, count] = values as Values;
    return work([[x!, 4 * count!]], rounded(q!, factors!, count!));
  },
  /** Those that the cut to the topK largest leaves. */
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
  sort_runs({ gridX, threads, values }) {
    const [runs, logits, vocab] = values as Values;
    return work([[logits!, 4 * vocab!]], [[runs!, 8 * gridX * 2 * threads]]);
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

type AttentionBuffers = [q: number, keys: number, values: number, slots: number, positions: number];

/**
 * What attention reads of n tokens, and its products: the keys and values of a slot once, as far as any of its tokens looks.
 * @param tiles whether of the tokens that are in tiles (kernels/runs.cuh), or of the others
 */
function attended(
  { dtype, device }: Pick<Call, 'dtype' | 'device'>,
  n: number,
  [q, keys, values, slotsAt, positionsAt]: AttentionBuffers,
  heads: number,
  kvHeads: number,
  headDim: number,
  tiles: boolean,
): { reads: Access[]; tokens: number; flops: number } {
  const [slots, positions] = [device.integers(slotsAt, n), device.integers(positionsAt, n)];
  const reach = new Map<number, number>();
  let [seen, tokens] = [0, 0];
  for (const [i, slot] of slots.entries()) {
    if (isInTiles(slots, positions, i) !== tiles) continue;
    reach.set(slot, Math.max(reach.get(slot) ?? 0, positions[i]! + 1));
    seen += positions[i]! + 1;
    tokens++;
  }
  const rows = [...reach.values()].reduce((sum, count) => sum + count, 0);
  const bytes = rows * kvHeads * rowBytes(dtype, headDim);
  const reads: Access[] = [
    [q, 4 * tokens * heads * headDim],
    [keys, bytes],
    [values, bytes],
    [slotsAt, 4 * n],
    [positionsAt, 4 * n],
  ];
  return { reads, tokens, flops: 4 * seen * heads * headDim };
}

/** Whether token i is one of more than eight of 128 that follow one another. */
function isInTiles(slots: Int32Array, positions: Int32Array, i: number): boolean {
  const goesOn = (j: number) => slots[j] === slots[i] && positions[j]! - j === positions[i]! - i;
  let [begin, end] = [i, i];
  while (begin > i - (i % 128) && goesOn(begin - 1)) begin--;
  while (end < Math.min(slots.length, i - (i % 128) + 128) && goesOn(end)) end++;
  return slots.length > 8 && end - begin > 8;
}

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
