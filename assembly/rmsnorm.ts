import { loadPart, storePart, sumLanes } from './math';

/**
 * out[i] = x[i] · weight / √(mean(x[i]²) + eps);  x, out (n, dim), weight (dim)
 * Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"
 */
export function rmsnorm(out: usize, x: usize, weight: usize, n: i32, dim: i32, eps: f32): void {
  const rest = dim & 3;
  const bytes = <usize>(dim - rest) << 2;
  for (let t = 0; t < n; t++) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = v128.load(x + i);
      sum = f32x4.add(sum, f32x4.mul(v, v));
    }
    if (rest) {
      const v = loadPart(x + bytes, rest);
      sum = f32x4.add(sum, f32x4.mul(v, v));
    }
    const scale = f32x4.splat(<f32>1 / sqrt<f32>(sumLanes(sum) / <f32>dim + eps));
    for (let i: usize = 0; i < bytes; i += 16) {
      v128.store(out + i, f32x4.mul(v128.load(weight + i), f32x4.mul(v128.load(x + i), scale)));
    }
    if (rest) {
      const v = f32x4.mul(loadPart(weight + bytes, rest), f32x4.mul(loadPart(x + bytes, rest), scale));
      storePart(out + bytes, v, rest);
    }
    x += <usize>dim << 2;
    out += <usize>dim << 2;
  }
}
