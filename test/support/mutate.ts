/**
 * Structure-aware mutations of GGUF headers: a well-formed seed is taken apart into fields and entries, some are
 * changed, and the rest stays consistent, so that mutants get past the first check more often than not. (Bytes flipped
 * at random mostly die on the magic number.)
 */

/** A number in the header: a count, a length, a type, a dimension, a value. */
interface Field {
  at: number;
  size: 1 | 2 | 4 | 8;
}

/** A part of the header with the fields inside it, relative to its beginning. */
interface Part {
  bytes: Uint8Array;
  fields: Field[];
}

export interface Seed {
  head: Part;
  keys: Part[];
  tensors: Part[];
  alignment: number;
  /** Bytes of tensor data that follow. */
  data: number;
}

/** A mutant: the data behind the header are not needed, only how long the file is. */
export interface Mutant {
  header: Uint8Array;
  fileSize: number;
}

const VALUE_SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8] as const;

/** Takes a well-formed file apart. Trusts it: seeds are made by our writer or by llama.cpp. */
export function seedFrom(file: Uint8Array): Seed {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let pos = 0;
  let part: Part;
  const begin = (): number => {
    part = { bytes: file.subarray(0, 0), fields: [] };
    return pos;
  };
  const end = (start: number): Part => {
    part.bytes = file.slice(start, pos);
    for (const field of part.fields) field.at -= start;
    return part;
  };
  const field = (size: 1 | 2 | 4 | 8): number => {
    part.fields.push({ at: pos, size });
    pos += size;
    if (size === 8) return Number(view.getBigUint64(pos - 8, true));
    return size === 4 ? view.getUint32(pos - 4, true) : view.getUint8(pos - size);
  };
  const text = (): string => {
    const length = field(8);
    pos += length;
    return new TextDecoder().decode(file.subarray(pos - length, pos));
  };
  const value = (type: number): number => {
    if (type === 8) return text().length;
    if (type !== 9) return field(VALUE_SIZES[type] as 1 | 2 | 4 | 8);
    const item = field(4);
    const count = field(8);
    for (let i = 0; i < count; i++) value(item);
    return 0;
  };

  const start = begin();
  field(4);
  field(4);
  const nTensors = field(8);
  const nKeys = field(8);
  const seed: Seed = { head: end(start), keys: [], tensors: [], alignment: 32, data: 0 };
  for (let i = 0; i < nKeys; i++) {
    const at = begin();
    const name = text();
    const number = value(field(4));
    if (name === 'general.alignment') seed.alignment = number;
    seed.keys.push(end(at));
  }
  for (let i = 0; i < nTensors; i++) {
    const at = begin();
    text();
    const dims = field(4);
    for (let d = 0; d < dims; d++) field(8);
    field(4);
    field(8);
    seed.tensors.push(end(at));
  }
  seed.data = Math.max(0, file.length - Math.ceil(pos / seed.alignment) * seed.alignment);
  return seed;
}

const NASTY: readonly bigint[] = [
  ...[
    0n,
    1n,
    2n,
    3n,
    4n,
    5n,
    7n,
    8n,
    9n,
    12n,
    13n,
    16n,
    30n,
    31n,
    32n,
    33n,
    64n,
    127n,
    128n,
    255n,
    256n,
    1024n,
    65535n,
    65536n,
  ],
  ...[31n, 32n, 53n, 61n, 62n, 63n].flatMap(bits => [2n ** bits - 1n, 2n ** bits, 2n ** bits + 1n]),
  ...[2n ** 64n - 1n, 2n ** 64n - 31n, 2n ** 64n - 32n, 0x7fffffffffffffc0n],
  // floats: 1, −1, ∞, NaN; then the same as doubles
  ...[0x3f800000n, 0xbf800000n, 0x7f800000n, 0x7fc00000n, 0x3ff0000000000000n, 0x7ff8000000000000n],
];

export class Mutator {
  /** A whole number below `n`. */
  readonly below: (n: number) => number;
  readonly #seeds: readonly Seed[];

  constructor(seeds: readonly Seed[], below: (n: number) => number) {
    this.#seeds = seeds;
    this.below = below;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  next(): Mutant {
    const { below } = this;
    const seed = this.#pick(this.#seeds);
    const file: Seed = { ...seed, keys: [...seed.keys], tensors: [...seed.tensors] };
    const kind = below(10);
    if (kind < 7) for (let n = 1 + below(3); n > 0; n--) this.#change(file);
    let header = serialise(file);
    if (kind === 7) header = this.#flip(header);
    if (kind === 8) header = this.#splice(header);
    const padded = Math.ceil(header.length / file.alignment) * file.alignment;
    let fileSize = padded + file.data;
    if (kind === 9) {
      fileSize = below(2) === 0 ? below(fileSize + 1) : Math.max(0, fileSize - 1 - below(64));
      header = header.subarray(0, fileSize);
    }
    return { header, fileSize };
  }

  /** One change of a field or of the list of entries. */
  #change(file: Seed): void {
    const { below } = this;
    const list = below(3) === 0 || file.tensors.length === 0 ? file.keys : file.tensors;
    const index = below(list.length);
    switch (below(10)) {
      case 0: // an entry less; the counts say so, or lie
        list.splice(index, 1);
        if (below(4) > 0) file.head = counted(file);
        break;
      case 1: // an entry twice
        list.splice(index, 0, list[index]!);
        if (below(4) > 0) file.head = counted(file);
        break;
      case 2: // entries in another order
        [list[0], list[index]] = [list[index]!, list[0]!];
        break;
      case 3: {
        // an entry of another file
        const other = this.#pick(this.#seeds);
        list.splice(
          index,
          0,
          this.#pick(list === file.keys || other.tensors.length === 0 ? other.keys : other.tensors),
        );
        file.head = counted(file);
        break;
      }
      case 4:
        file.head = this.#overwrite(file.head);
        break;
      default:
        list[index] = this.#overwrite(list[index]!);
    }
  }

  /** Puts a nasty value, or one near the old one, or another field's, into a field. */
  #overwrite(part: Part): Part {
    const bytes = part.bytes.slice();
    const view = new DataView(bytes.buffer);
    const read = ({ at, size }: Field): bigint => {
      if (size === 8) return view.getBigUint64(at, true);
      return BigInt(size === 4 ? view.getUint32(at, true) : view.getUint8(at));
    };
    // Mostly one of the first, or the fields of long lists (scores) would crowd out the others; but not the very first,
    // the length of a name, which only ever ends in two ways.
    const { fields } = part;
    const near = Math.min(8, fields.length - 1);
    const { at, size } = fields[this.below(4) > 0 ? 1 + this.below(near) : this.below(fields.length)]!;
    const old = read({ at, size });
    const way = this.below(6);
    let value = this.#pick(NASTY);
    if (way === 0) value = old + BigInt(this.below(5) - 2);
    if (way === 1) value = read(this.#pick(fields));
    if (way === 2) value = old * 2n;
    for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 255n);
    return { bytes, fields };
  }

  #flip(header: Uint8Array): Uint8Array {
    const bytes = header.slice();
    for (let n = 1 + this.below(8); n > 0; n--) {
      const at = this.below(bytes.length);
      bytes[at] = bytes[at]! ^ (1 << this.below(8));
    }
    return bytes;
  }

  /** Copies a stretch elsewhere: over other bytes, between them, or takes it out. */
  #splice(header: Uint8Array): Uint8Array {
    const from = this.below(header.length);
    const stretch = header.subarray(from, from + 1 + this.below(64));
    const to = this.below(header.length);
    const way = this.below(3);
    const before = header.subarray(0, to);
    const after = header.subarray(to + (way === 1 ? 0 : stretch.length));
    const middle = way === 2 ? stretch.subarray(0, 0) : stretch;
    const bytes = new Uint8Array(before.length + middle.length + after.length);
    bytes.set(before);
    bytes.set(middle, before.length);
    bytes.set(after, before.length + middle.length);
    return bytes;
  }
}

/** The head with counts that are true. */
function counted(file: Seed): Part {
  const bytes = file.head.bytes.slice();
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, BigInt(file.tensors.length), true);
  view.setBigUint64(16, BigInt(file.keys.length), true);
  return { bytes, fields: file.head.fields };
}

function serialise({ head, keys, tensors }: Seed): Uint8Array {
  const parts = [head, ...keys, ...tensors];
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.bytes.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.bytes, at);
    at += part.bytes.length;
  }
  return bytes;
}
