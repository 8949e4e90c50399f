// Sine and cosine of angles ≥ 0 in f64, from additions and multiplications alone: after the nearest multiple of π/2 has
// been taken off (π/2 in three parts, so that nothing is lost up to 2^20), Taylor-like polynomials on ±π/4.
// Constants and coefficients: fdlibm (Sun Microsystems 1993), e_rem_pio2.c, k_sin.c, k_cos.c.
// AssemblyScript's own NativeMath.sin is wrong between 2^20.65 and 2^22 and brings tables that are not needed here.

const TWO_OVER_PI: f64 = 6.36619772367581382433e-1;
const HALF_PI_1: f64 = 1.57079632673412561417; // the first 33 bits
const HALF_PI_2: f64 = 6.07710050630396597660e-11; // the next 33
const HALF_PI_3: f64 = 2.02226624879595063154e-21; // the rest
const TAU: f64 = 6.283185307179586;
const LARGE: f64 = 1048576;

// @ts-ignore: decorator
@inline
function sineOf(r: f64): f64 {
  const z = r * r;
  const p = 8.33333333332248946124e-3 + z * (-1.98412698298579493134e-4 + z * (2.75573137070700676789e-6 +
    z * (-2.50507602534068634195e-8 + z * 1.58969099521155010221e-10)));
  return r + r * z * (-1.66666666666666324348e-1 + z * p);
}

// @ts-ignore: decorator
@inline
function cosineOf(r: f64): f64 {
  const z = r * r;
  const p = 4.16666666666666019037e-2 + z * (-1.38888888888741095749e-3 + z * (2.48015872894767294178e-5 +
    z * (-2.75573143513906633035e-7 + z * (2.08757232129817482790e-9 + z * -1.13596475577881948265e-11))));
  return 1 - 0.5 * z + z * z * p;
}

/** Stores cos(angle) and sin(angle) as f32. */
// @ts-ignore: decorator
@inline
export function storeCosSin(out: usize, angle: f64): void {
  if (angle > LARGE) angle -= floor<f64>(angle / TAU) * TAU;
  const quarter = nearest<f64>(angle * TWO_OVER_PI);
  const r = angle - quarter * HALF_PI_1 - quarter * HALF_PI_2 - quarter * HALF_PI_3;
  const s = sineOf(r), c = cosineOf(r);
  const turn = <i32>quarter & 3;
  const swapped = turn & 1;
  const cos = swapped ? s : c, sin = swapped ? c : s;
  store<f32>(out, <f32>(turn == 1 || turn == 2 ? -cos : cos));
  store<f32>(out, <f32>(turn >= 2 ? -sin : sin), 4);
}
