/**
 * GGUF byte by byte, with no idea of what is right: every count, length and type can be a lie. It shares no code with
 * the writer or the reader, which the malformed files are made to test.
 */

export const T = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  str: 8,
  arr: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

export function cat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap(part => [...part]));
}

export function u8(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

export function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export function f32(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

export function u64(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
}

/** A string with its length, or with another one. */
export function str(text: string | Uint8Array, length?: number | bigint): Uint8Array {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return cat(u64(length ?? bytes.length), bytes);
}

export function key(name: string | Uint8Array, type: number, value: Uint8Array): Uint8Array {
  return cat(str(name), u32(type), value);
}

export function array(type: number, count: number | bigint, items: Uint8Array): Uint8Array {
  return cat(u32(type), u64(count), items);
}

/** A tensor's entry; `nDims` may contradict `dims`. */
export function info(
  name: string | Uint8Array,
  dims: (number | bigint)[],
  type = 0,
  offset: number | bigint = 0,
  nDims: number = dims.length,
): Uint8Array {
  return cat(str(name), u32(nDims), u64(...dims), u32(type), u64(offset));
}

export interface RawFile {
  magic?: string;
  version?: number;
  nTensors?: number | bigint;
  nKeys?: number | bigint;
  keys?: Uint8Array[];
  tensors?: Uint8Array[];
  alignment?: number;
  /** Bytes of tensor data. */
  data?: number;
}

export function rawGguf(file: RawFile = {}): Uint8Array {
  const { magic = 'GGUF', version = 3, keys = [], tensors = [], alignment = 32, data = 0 } = file;
  const header = cat(
    new TextEncoder().encode(magic),
    u32(version),
    u64(file.nTensors ?? tensors.length, file.nKeys ?? keys.length),
    ...keys,
    ...tensors,
  );
  const padding = data > 0 ? (alignment - (header.length % alignment)) % alignment : 0;
  return cat(header, new Uint8Array(padding + data));
}
