import type { Buf, Tensor } from './backend.ts';
import type { GemmLayout, GemmType } from './cuda-device.ts';
import { strideOf } from './cuda-kernels.ts';
import { CudaMemory, over, THREADS, WARP } from './cuda-memory.ts';
import type { DType } from './dtype.ts';

/** gemm.cuh: rows and columns of a tile, and blocks that fill a GPU of 132 multiprocessors. */
const LARGE_TILE = { m: 128, n: 256, blocks: 132 };
const SMALL_TILE = { m: 64, n: 128, blocks: 264 };
/** Fewest values of k that a block is started for. */
const LEAST_DEPTH = 256;
/** Up to so many tokens quantised weights are unpacked inside the product, anew for each tile of tokens. */
const UNPACK_INSIDE = 128;
/** Bytes of weights that are unpacked at once where there are more tokens. */
const MOST_UNPACKED = 2 ** 27;

/** What cuBLASLt may use, in bytes: as much as NVIDIA's manual recommends for Hopper, four times that for older GPUs. */
const WORKSPACE = 2 ** 25;

/** matmul.cu: a tile's side, and its threads. */
export const MATMUL: { tile: number; threads: number } = { tile: 64, threads: 256 };

/** Activations as tensor cores take them. */
interface Rounded {
  type: GemmType;
  a: Buf;
  /** Of each row; 0 if there are none. */
  scales: Buf;
}

interface GemmOptions {
  /** (m), or none */
  scales?: Buf;
  /** From a row of out to the next. */
  stride?: number;
  add?: 0 | 1;
}

/** Products of matrices on tensor cores: cuBLASLt's where it is found and many rows meet, our own otherwise. */
export abstract class CudaGemm extends CudaMemory {
  /** Of cuBLASLt; 0 if it is not used, undefined before the first product. */
  #workspace: Buf | undefined;

  /**
   * outs[i] = x · ws[i]ᵀ for many tokens: beside F16 the activations are halves with a scale a row, beside other formats but F32 both sides
   * are bf16. x is rounded once for all matrices of a kind.
   */
  protected matmulsMany(outs: Buf[], x: Buf, ws: Tensor[], n: number): void {
    const rounded: Partial<Record<GemmType, Rounded>> = {};
    for (const [i, w] of ws.entries()) {
      const { buf, dtype, rows, cols } = w;
      if (dtype === 'f32') {
        const grid = [over(rows, MATMUL.tile), over(n, MATMUL.tile)] as const;
        this.run('matmul_f32', ...grid, MATMUL.threads, outs[i]!, x, buf, n, rows, cols);
      } else if (dtype === 'f16') {
        rounded.f16 ??= this.#narrowScaled(x, n, cols);
        this.#matmulMany(outs[i]!, rounded.f16, w, n);
      } else {
        rounded.bf16 ??= { type: 'bf16', a: this.narrow('a', 'f32', x, n, cols), scales: 0 };
        this.#matmulMany(outs[i]!, rounded.bf16, w, n);
      }
    }
  }

  #matmulMany(out: Buf, { type, a, scales }: Rounded, { buf, dtype, rows, cols }: Tensor, n: number): void {
    if (dtype === type && cols % 8 === 0) {
      this.gemm('nt', type, out, a, buf, n, rows, cols, { scales });
    } else if (dtype !== type && n <= UNPACK_INSIDE) {
      this.#tiles(`gemm_few_${dtype}`, SMALL_TILE, out, a, buf, n, rows, cols, {});
    } else {
      const { n: wide } = LARGE_TILE;
      const together = wide * Math.max(1, Math.floor(MOST_UNPACKED / (2 * cols * wide)));
      for (let row = 0; row < rows; row += together) {
        const count = Math.min(together, rows - row);
        const b = this.narrow('b', dtype, buf + row * strideOf(dtype, cols), count, cols);
        this.gemm('nt', type, out + 4 * row, a, b, n, count, cols, { scales, stride: rows });
      }
    }
  }

  /** Stored rows as 16-bit numbers with whole pieces of 16 bytes a row (narrow.cu), in the room of that name. */
  protected narrow(name: string, dtype: DType, from: Buf, rows: number, cols: number): Buf {
    const pieces = over(cols, 8);
    const to = this.scratch(name, 16 * rows * pieces);
    this.run(`narrow_${dtype}`, rows, over(pieces, THREADS), THREADS, to, from, cols);
    return to;
  }

  #narrowScaled(x: Buf, n: number, cols: number): Rounded {
    const a = this.scratch('halves', 16 * n * over(cols, 8));
    const scales = this.scratch('scales', 4 * n);
    this.run('narrow_scaled', over(n, THREADS / WARP), 1, THREADS, a, scales, x, n, cols);
    return { type: 'f16', a, scales };
  }

  /**
   * out (m, n) = or += scales[i] · a · b over k, of 16-bit numbers whose rows are whole pieces of 16 bytes: a (m, k), b (n, k) in
   * layout nt; b (k, n) in nn; a (k, m) in tn too.  scales (m), rows of out `stride` apart
   */
  protected gemm(
    layout: GemmLayout,
    type: GemmType,
    out: Buf,
    a: Buf,
    b: Buf,
    m: number,
    n: number,
    k: number,
    options: GemmOptions = {},
  ): void {
    const few = layout === 'nt' && m <= SMALL_TILE.m;
    const { scales = 0, stride = n, add = 0 } = options;
    // the library's rows are not padded
    const plain = stride === n && (layout === 'tn' ? m : k) % 8 === 0 && (layout === 'nt' ? k : n) % 8 === 0;
    if (few) this.#tiles(`gemm_few_${type}`, SMALL_TILE, out, a, b, m, n, k, options);
    else if (plain && !(scales && add) && this.byLibrary(type, layout, out, a, b, m, n, k, add === 1)) {
      if (scales) this.run('gemm_sum', over(m * n, THREADS), 1, THREADS, out, out, scales, 1, m, n, n, 0);
    } else this.#tiles(`gemm_${layout}_${type}`, LARGE_TILE, out, a, b, m, n, k, options);
  }

  /**
   * By cuBLASLt: out = a · b, or out + a · b to `add`;  out (m, n) f32, a (m, k) and b (k, n) of 16 bits, or (k, m) and (n, k)
   * where `layout` says t.
   * @returns false, and nothing is done, where there is none or no memory for its work
   */
  protected byLibrary(
    type: GemmType,
    layout: GemmLayout,
    out: Buf,
    a: Buf,
    b: Buf,
    m: number,
    n: number,
    k: number,
    add: boolean,
  ): boolean {
    this.#workspace ??= this.#takeWorkspace();
    if (this.#workspace === 0) return false;
    if (m > 0 && n > 0) this.device.gemm(type, layout, out, a, b, m, n, k, add, this.#workspace, WORKSPACE);
    return true;
  }

  #takeWorkspace(): Buf {
    if (!this.device.hasGemm) return 0;
    try {
      // which it wants at a multiple of 256 bytes (cuBLAS, cublasLtMatmul)
      return Math.ceil(this.alloc(WORKSPACE + 256) / 256) * 256;
    } catch {
      return 0;
    }
  }

  /** Where tiles are few, blocks share the depth of each, and their sums are added in order. */
  #tiles(
    kernel: string,
    tile: typeof LARGE_TILE,
    out: Buf,
    a: Buf,
    b: Buf,
    m: number,
    n: number,
    k: number,
    { scales = 0, stride = n, add = 0 }: GemmOptions,
  ): void {
    const tiles = over(m, tile.m) * over(n, tile.n);
    const parts = Math.max(1, Math.min(Math.floor(tile.blocks / tiles), Math.floor(k / LEAST_DEPTH)));
    if (parts === 1) this.run(kernel, tiles, 1, THREADS, out, a, b, scales, m, n, k, stride, add);
    else {
      const sums = this.scratch('sums', 4 * parts * m * n);
      this.run(kernel, tiles, parts, THREADS, sums, a, b, 0, m, n, k, n, 0);
      const grid = over(m * n, THREADS);
      this.run('gemm_sum', grid, 1, THREADS, out, sums, scales, parts, m, n, stride, add);
    }
  }
}
