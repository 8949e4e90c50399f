// A session on a GPU that may be cut off: each figure is a line of JSON as soon as it is had, and nothing begins that has no time left.

export type Line = { bench: string } & Record<string, unknown>;

export class Session {
  readonly #end: number;
  readonly #print: (line: Line) => void;

  constructor(minutes: number, print: (line: Line) => void = line => console.log(JSON.stringify(line))) {
    this.#end = performance.now() + 60_000 * minutes;
    this.#print = print;
  }

  /** Seconds. */
  get left(): number {
    return Math.max(0, (this.#end - performance.now()) / 1000);
  }

  print(line: Line): void {
    this.#print(line);
  }

  /** Prints `line` with what `work` adds: figures, or why there are none. A GPU that is too small for it has not failed. */
  async measure(line: Line, work: () => Promise<object>): Promise<void> {
    if (this.left === 0) return this.#print({ ...line, skipped: 'no time left' });
    try {
      this.#print({ ...line, ...(await work()) });
    } catch (error) {
      // the class of the package, which is not ours
      const { message, code } = error as Error & { code?: string };
      const tooSmall = code === 'out-of-memory';
      this.#print({ ...line, ...(tooSmall ? { skipped: message } : { failed: message }) });
    }
  }
}

/** Figures by which others are judged. */
export interface Ceilings {
  /** GB/s read and written together, as copies on the device reach it. */
  bandwidth: number;
  /** Dense products of bf16 a second on tensor cores, in 10¹² operations: what the data sheet says; undefined for a GPU that is not listed. */
  peak: number | undefined;
  /** The same as PyTorch's products of large matrices reach it in this session; undefined without PyTorch. */
  matmul?: number | undefined;
}

/** 10¹² operations a second, and what share of the ceilings that is. */
export function tflopsOf(rate: number, { peak, matmul }: Pick<Ceilings, 'peak' | 'matmul'>): object {
  return { tflops: rate, ...(peak && { mfu: rate / peak }), ...(matmul && { ofMatmul: rate / matmul }) };
}

/** NVIDIA's data sheets: dense bf16 with f32 sums, 10¹² operations a second. */
const PEAKS: [name: RegExp, peak: number][] = [
  [/A100/, 312],
  [/H100 PCIe/, 756],
  [/H100 NVL/, 835],
  [/H100|H200/, 989],
];

export function peakOf(name: string): number | undefined {
  return PEAKS.find(([pattern]) => pattern.test(name))?.[1];
}
