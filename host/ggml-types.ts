/** Value types of GGUF metadata (ggml docs/gguf.md, `gguf_metadata_value_type`). */
export const GgufType = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
export type GgufTypeName = keyof typeof GgufType;

/** A tensor type of ggml: rows are made of blocks of `values` values in `bytes` bytes. */
export interface GgmlType {
  id: number;
  name: string;
  values: number;
  bytes: number;
}

/**
 * Every type that a GGUF file may carry, so that a file can be listed even where it cannot be run. Sizes as in ggml's
 * block structs; ids 4, 5, 31–33 and 36–38 belonged to formats that were removed from files.
 */
const TABLE: readonly [id: number, name: string, values: number, bytes: number][] = [
  [0, 'F32', 1, 4],
  [1, 'F16', 1, 2],
  [2, 'Q4_0', 32, 18],
  [3, 'Q4_1', 32, 20],
  [6, 'Q5_0', 32, 22],
  [7, 'Q5_1', 32, 24],
  [8, 'Q8_0', 32, 34],
  [9, 'Q8_1', 32, 36],
  [10, 'Q2_K', 256, 84],
  [11, 'Q3_K', 256, 110],
  [12, 'Q4_K', 256, 144],
  [13, 'Q5_K', 256, 176],
  [14, 'Q6_K', 256, 210],
  [15, 'Q8_K', 256, 292],
  [16, 'IQ2_XXS', 256, 66],
  [17, 'IQ2_XS', 256, 74],
  [18, 'IQ3_XXS', 256, 98],
  [19, 'IQ1_S', 256, 50],
  [20, 'IQ4_NL', 32, 18],
  [21, 'IQ3_S', 256, 110],
  [22, 'IQ2_S', 256, 82],
  [23, 'IQ4_XS', 256, 136],
  [24, 'I8', 1, 1],
  [25, 'I16', 1, 2],
  [26, 'I32', 1, 4],
  [27, 'I64', 1, 8],
  [28, 'F64', 1, 8],
  [29, 'IQ1_M', 256, 56],
  [30, 'BF16', 1, 2],
  [34, 'TQ1_0', 256, 54],
  [35, 'TQ2_0', 256, 66],
  [39, 'MXFP4', 32, 17],
  [40, 'NVFP4', 64, 36],
  [41, 'Q1_0', 128, 18],
];

export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map(
  TABLE.map(([id, name, values, bytes]) => [id, { id, name, values, bytes }]),
);

/** The type called `name`, such as `Q8_0`. Throws a plain `RangeError` for a name that is not in the table. */
export function ggmlTypeNamed(name: string): GgmlType {
  for (const type of GGML_TYPES.values()) if (type.name === name) return type;
  throw new RangeError(`no ggml type is called ${name}`);
}
