// What kernels/tensor.cuh says of tensor cores, held to plain loops: on the mock, and on a GPU where there is one.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CudaDevice } from '../host/cuda-device.ts';
import { devices } from './support/gpu.ts';
import { encode } from './support/stored.ts';
import { uniform } from './support/tiny-model.ts';

/** Runs a kernel of one warp on buffers; gives the first, as it is then. */
async function run(device: CudaDevice, name: string, buffers: ArrayBufferView[], values: number[] = []) {
  const kernel = device.kernel(name);
  const addresses = buffers.map(({ buffer, byteOffset, byteLength }) => {
    const address = device.allocate(byteLength);
    device.write(address, new Uint8Array(buffer, byteOffset, byteLength));
    return address;
  });
  device.launch(kernel, 1, 1, 32, ...addresses, ...values);
  return (index: number) => device.read(addresses[index]!, buffers[index]!.byteLength);
}

/** Small whole numbers, which any order of sums adds exactly. */
function whole(count: number, seed: number): number[] {
  const random = uniform(seed);
  return Array.from({ length: count }, () => Math.round(4 * random()));
}

const FORMATS = {
  bf16: { K: 16, stored: (x: number[]) => encode(Float32Array.from(x), 'bf16') },
  half: { K: 16, stored: (x: number[]) => encode(Float32Array.from(x), 'f16') },
  bytes: { K: 32, stored: (x: number[]) => Int8Array.from(x) },
};

for (const [place, open] of Object.entries(devices())) {
  const test = suite(`tensor cores on ${place}`);

  for (const [format, { K, stored }] of Object.entries(FORMATS)) {
    test(`a product of ${format} has its numbers where the fragments say`, async () => {
      const device = open();
      const [a, b, c] = [whole(16 * K, 1), whole(8 * K, 2), whole(16 * 8, 3)] as const;
      const sums = format === 'bytes' ? Int32Array.from(c) : Float32Array.from(c);
      const read = await run(device, `seam_multiply_${format}`, [sums, stored(a), stored(b)]);
      const { buffer } = await read(0);
      const got = Array.from(format === 'bytes' ? new Int32Array(buffer) : new Float32Array(buffer));
      const expected = c.map((sum, at) => {
        const [i, j] = [Math.floor(at / 8), at % 8];
        for (let k = 0; k < K; k++) sum += a[K * i + k]! * b[K * j + k]!;
        return sum;
      });
      assert.equal(got, expected);
      device.close();
    });
  }

  test('matrices come to the lanes as they are and turned', async () => {
    const device = open();
    const rows = Uint16Array.from({ length: 32 * 8 }, (_, i) => i);
    const read = await run(device, 'seam_matrices', [new Uint32Array(256), rows]);
    const got = new Uint16Array((await read(0)).buffer);
    const expected: number[] = [];
    for (const turned of [false, true]) {
      for (let j = 0; j < 4; j++) {
        for (let lane = 0; lane < 32; lane++) {
          for (const i of [0, 1]) {
            const [row, column] = [Math.floor(lane / 4), 2 * (lane % 4) + i];
            expected.push(turned ? 64 * j + 8 * column + row : 64 * j + 8 * row + column);
          }
        }
      }
    }
    assert.equal(Array.from(got), expected);
    device.close();
  });

  test('copies arrive when they are waited for, zeros where nothing is valid', async () => {
    const device = open();
    const from = Uint32Array.from({ length: 4 * 50 }, (_, i) => i + 1);
    const read = await run(device, 'seam_copy', [new Uint32Array(200), from], [50, 41]);
    const got = new Uint32Array((await read(0)).buffer);
    assert.equal(
      Array.from(got),
      Array.from(from, (x, i) => (i < 4 * 41 ? x : 0)),
    );
    device.close();
  });

  test('pairs are rounded to even, powers of two within a few units in the last place', async () => {
    const device = open();
    const random = uniform(4);
    const x = Float32Array.from({ length: 64 }, () => 8 * random());
    x.set([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 0, -0, 65504, -1e-8]);
    const read = await run(device, 'seam_numbers', [new Uint32Array(64), new Float32Array(64), x]);
    const pairs = await read(0);
    for (let i = 0; i < 64; i += 2) {
      const two = x.slice(i, i + 2);
      assert.equal(pairs.slice(4 * i, 4 * i + 4), encode(two, 'bf16'), `bf16 ${i}`);
      assert.equal(pairs.slice(4 * i + 4, 4 * i + 8), encode(two, 'f16'), `half ${i}`);
    }
    const powers = new Float32Array((await read(1)).buffer);
    for (const [i, power] of powers.entries()) {
      const exact = 2 ** x[i]!;
      if (exact < 1e38) assert.ok(Math.abs(power / exact - 1) < 4e-7, `2^${x[i]}`);
    }
    device.close();
  });

  test('what is recorded runs when it is replayed, as often as that', async () => {
    const device = open();
    const add = device.kernel('add');
    const [sum, one, kept] = [device.allocate(128), device.allocate(128), device.allocate(128)];
    device.write(sum, new Uint8Array(new Float32Array(32).buffer));
    device.write(one, new Uint8Array(new Float32Array(32).fill(1).buffer));
    device.beginRecording();
    device.launch(add, 1, 1, 32, sum, sum, one, 32);
    device.copy(kept, sum, 128);
    const twice = device.endRecording();
    const first = async (at: number) => new Float32Array((await device.read(at, 128)).buffer)[0];
    assert.is(await first(sum), 0);
    device.replay(twice);
    device.write(one, new Uint8Array(new Float32Array(32).fill(10).buffer));
    device.replay(twice);
    assert.is(await first(kept), 11);
    device.close();
  });

  test.run();
}
