// What NVIDIA publishes of GPUs, and how many blocks of a kernel a multiprocessor holds by it.

/** CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": of one multiprocessor. */
export interface Multiprocessor {
  registers: number;
  warps: number;
  blocks: number;
  /** Bytes. */
  shared: number;
}

export const MULTIPROCESSORS: Record<'sm_80' | 'sm_90', Multiprocessor> = {
  sm_80: { registers: 65536, warps: 64, blocks: 32, shared: 164 * 1024 },
  sm_90: { registers: 65536, warps: 64, blocks: 32, shared: 228 * 1024 },
};

export type Arch = keyof typeof MULTIPROCESSORS;

const WARP = 32;
/** Registers are given to a warp in pieces of so many, by one of four schedulers with a quarter of them. */
const REGISTERS_TOGETHER = 256;
const SCHEDULERS = 4;
/** Shared memory is given in pieces of so many bytes; the driver keeps some for each block. */
const SHARED_TOGETHER = 128;
const SHARED_KEPT = 1024;

const up = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;

/** @param shared bytes of a block, static and dynamic */
export function blocksPerMultiprocessor(
  arch: Arch,
  threads: number,
  registers: number,
  shared: number,
): number {
  const limits = MULTIPROCESSORS[arch];
  const warps = Math.ceil(threads / WARP);
  const perWarp = up(registers * WARP, REGISTERS_TOGETHER);
  const warpsByRegisters = SCHEDULERS * Math.floor(limits.registers / SCHEDULERS / perWarp);
  return Math.min(
    limits.blocks,
    Math.floor(limits.warps / warps),
    Math.floor(warpsByRegisters / warps),
    Math.floor(limits.shared / up(shared + SHARED_KEPT, SHARED_TOGETHER)),
  );
}

/** What multiplies, best first: a kernel's ceiling is that of the best that it has. */
export type Unit = 'mma s8' | 'mma' | 'dp4a' | 'fma';

/** A GPU's data sheet: GB/s of its memory, and 10¹² operations a second. */
export interface Gpu {
  name: string;
  arch: Arch;
  bandwidth: number;
  peaks: Record<Unit, number>;
}

/** dp4a: eight operations at the rate of 32-bit integer products, 64 a clock and multiprocessor at the clock of the data sheet's other figures. */
export const GPUS: Gpu[] = [
  {
    name: 'A100-80',
    arch: 'sm_80',
    bandwidth: 2039,
    peaks: { 'mma s8': 624, mma: 312, dp4a: (8 * 64 * 108 * 1.41) / 1000, fma: 19.5 },
  },
  {
    name: 'H100',
    arch: 'sm_90',
    bandwidth: 3350,
    peaks: { 'mma s8': 1979, mma: 989, dp4a: (8 * 64 * 132 * 1.98) / 1000, fma: 66.9 },
  },
];
