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

/**
 * dX[i] += r · dOut[i] · weight − x[i] · r³ · mean(dOut[i] · weight · x[i]) with r = 1 / √(mean(x[i]²) + eps);
 * dWeight += Σᵢ dOut[i] · x[i] · r;  dX, dOut, x (n, dim), dWeight, weight (dim)
 */
export function rmsnormBackward(
  dX: usize, dWeight: usize, dOut: usize, x: usize, weight: usize, n: i32, dim: i32, eps: f32,
): void {
  const rest = dim & 3;
  const bytes = <usize>(dim - rest) << 2;
  for (let t = 0; t < n; t++) {
    let squares = f32x4.splat(0), products = squares;
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = v128.load(x + i);
      squares = f32x4.add(squares, f32x4.mul(v, v));
      products = f32x4.add(products, f32x4.mul(f32x4.mul(v128.load(dOut + i), v128.load(weight + i)), v));
    }
    if (rest) {
      const v = loadPart(x + bytes, rest);
      squares = f32x4.add(squares, f32x4.mul(v, v));
      const dv = f32x4.mul(loadPart(dOut + bytes, rest), loadPart(weight + bytes, rest));
      products = f32x4.add(products, f32x4.mul(dv, v));
    }
    const r: f32 = <f32>1 / sqrt<f32>(sumLanes(squares) / <f32>dim + eps);
    const scale = f32x4.splat(r), shrink = f32x4.splat(r * r * r * (sumLanes(products) / <f32>dim));
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = v128.load(x + i), d = f32x4.mul(v128.load(dOut + i), scale);
      const dv = f32x4.sub(f32x4.mul(d, v128.load(weight + i)), f32x4.mul(v, shrink));
      v128.store(dX + i, f32x4.add(v128.load(dX + i), dv));
      v128.store(dWeight + i, f32x4.add(v128.load(dWeight + i), f32x4.mul(d, v)));
    }
    if (rest) {
      const v = loadPart(x + bytes, rest), d = f32x4.mul(loadPart(dOut + bytes, rest), scale);
      const dv = f32x4.sub(f32x4.mul(d, loadPart(weight + bytes, rest)), f32x4.mul(v, shrink));
      storePart(dX + bytes, f32x4.add(loadPart(dX + bytes, rest), dv), rest);
      storePart(dWeight + bytes, f32x4.add(loadPart(dWeight + bytes, rest), f32x4.mul(d, v)), rest);
    }
    dX += <usize>dim << 2;
    dOut += <usize>dim << 2;
    x += <usize>dim << 2;
  }
}
