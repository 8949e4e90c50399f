/** Formats of 16 bits. */
export type GemmType = 'bf16' | 'f16';
/** How a and then b lie: n as the product takes it, t transposed. */
export type GemmLayout = 'nt' | 'nn' | 'tn';

/** A GPU as the package cria-cuda opens it; its index.ts says more. */
export interface CudaDevice {
  kernel(name: string): number;
  allocate(bytes: number): number;
  memory(): [free: number, all: number];
  launch(kernel: number, gridX: number, gridY: number, threads: number, ...values: number[]): void;
  write(address: number, bytes: Uint8Array): void;
  copy(to: number, from: number, bytes: number): void;
  read(address: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  beginRecording(): void;
  endRecording(): number;
  replay(recording: number): void;
  readonly hasGemm: boolean;
  gemm(
    format: GemmType,
    layout: GemmLayout,
    out: number,
    a: number,
    b: number,
    m: number,
    n: number,
    k: number,
    add: boolean,
    workspace: number,
    workspaceBytes: number,
  ): void;
  sum(address: number, count: number): void;
  hold(held: boolean): void;
  close(): void;
}
