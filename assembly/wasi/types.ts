// Types of tensors, by ggml's numbers: blocks as files store them (host/ggml-types.ts) and, for those that the kernels run,
// as memory keeps them (host/dtype.ts).

export const F32: u32 = 0, F16: u32 = 1, Q4_0: u32 = 2, Q4_1: u32 = 3, Q5_0: u32 = 6, Q5_1: u32 = 7, Q8_0: u32 = 8,
  Q2_K: u32 = 10, Q3_K: u32 = 11, Q4_K: u32 = 12, Q5_K: u32 = 13, Q6_K: u32 = 14, IQ4_NL: u32 = 20, IQ4_XS: u32 = 23,
  BF16: u32 = 30;

const COUNT: u32 = 42;
/** Values of a block; 0 for numbers that are no type. */
const VALUES = memory.data<u16>([
  1, 1, 32, 32, 0, 0, 32, 32, 32, 32, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 32,
  256, 256, 256, 1, 1, 1, 1, 1, 256, 1, 0, 0, 0, 256, 256, 0, 0, 0, 32, 64, 128,
]);
const BYTES = memory.data<u16>([
  4, 2, 18, 20, 0, 0, 22, 24, 34, 36, 84, 110, 144, 176, 210, 292, 66, 74, 98, 50, 18,
  110, 82, 136, 1, 2, 4, 8, 8, 56, 2, 0, 0, 0, 54, 66, 0, 0, 0, 17, 36, 18,
]);
/** Bytes of a block of four rows as the kernels keep it; 0 for types that are kept as they are, or not run. */
const GROUPED = memory.data<u16>([
  0, 0, 72, 80, 0, 0, 88, 96, 144, 0, 336, 456, 592, 720, 840, 0, 0, 0, 0, 0, 80, 0, 0, 616,
]);
/** Where half floats stand in a block of small codes: the first, and whether another follows. */
const HALF = memory.data<u8>([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 108, 0, 0, 208, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const HALVES = memory.data<u8>([0, 0, 1, 2, 0, 0, 1, 2, 0, 0, 2, 1, 2, 2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1]);

export function blockValues(type: u32): u32 {
  return type < COUNT ? load<u16>(VALUES + (<usize>type << 1)) : 0;
}

export function blockBytes(type: u32): u32 {
  return load<u16>(BYTES + (<usize>type << 1));
}

export function isFloat(type: u32): bool {
  return type == F32 || type == F16 || type == BF16;
}

/** Whether rows are laid out anew, in groups of four. */
export function isGrouped(type: u32): bool {
  return type <= IQ4_XS && load<u16>(GROUPED + (<usize>type << 1)) > 0;
}

export function isRunnable(type: u32): bool {
  return isFloat(type) || isGrouped(type);
}

/** Half floats of a block, and where the first of them stands; they follow each other. */
export function halvesOf(type: u32): u32 {
  return load<u8>(HALVES + type);
}
export function halfOf(type: u32): u32 {
  return load<u8>(HALF + type);
}

/** Bytes of a row in the file. */
export function rowBytes(type: u32, cols: u32): u64 {
  return <u64>(cols / blockValues(type)) * blockBytes(type);
}

/** Bytes of four rows, or of as many as a last group has, in memory. */
export function groupBytes(type: u32, cols: u32): u64 {
  return <u64>(cols / blockValues(type)) * load<u16>(GROUPED + (<usize>type << 1));
}

/** Bytes of a tensor in memory. */
export function memoryBytes(type: u32, rows: u32, cols: u32): u64 {
  return isGrouped(type) ? <u64>((rows + 3) >> 2) * groupBytes(type, cols) : rows * rowBytes(type, cols);
}

/** Bits to which activations are rounded: 7 beside signed bytes and levels, 8 beside other small codes. */
export function activationBits(type: u32): u32 {
  return type == Q8_0 || type == IQ4_NL || type == IQ4_XS ? 7 : 8;
}
