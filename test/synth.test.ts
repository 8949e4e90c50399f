// Block formats, against rows that llama.cpp dequantised and logits that it computed.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readModelFile } from '../host/checkpoint.ts';
import { rowBytes } from '../host/dtype.ts';
import { Reference } from '../host/reference.ts';
import { decodeRows } from '../host/reference-formats.ts';
import { openSource } from '../host/sources.ts';
import { BACKENDS } from './support/backends.ts';
import { llamaOf, runTogether } from './support/models.ts';
import { nmse } from './support/numbers.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

const fixture = (name: string) =>
  new Float32Array(new Uint8Array(readFileSync(sharedFile(`data/fixtures/llama.cpp/${name}.f32`))).buffer);

for (const dtype of ['F16', 'Q8_0', 'Q4_0', 'Q2_K', 'Q3_K_M', 'Q4_K_S', 'Q5_K_S', 'Q6_K']) {
  const name = `synth256.${dtype}`;
  const bytes = () => readFileSync(sharedFile(`data/models/quant/${name}.gguf`));

  sharedTest(
    test,
    `${name}: dequantised rows are llama.cpp's, bit for bit, in the reference and in the kernels`,
    async () => {
      const model = bytes();
      const file = await readModelFile(await openSource(model));
      const tensor = file.tensors.get('blk.0.ffn_down.weight')!;
      const expected = fixture(`${name}.ffn_down.rows16`);
      const stored = model.subarray(tensor.offset, tensor.offset + 16 * rowBytes(tensor.dtype, tensor.cols));
      assert.equal(Float32Array.from(decodeRows(stored, tensor.dtype, expected.length)), expected);

      const backend = await BACKENDS['simd']!();
      const table = backend.allocTensor(tensor.dtype, 16, tensor.cols);
      await backend.fill(table, 0, 16, async view => view.set(stored));
      const rows = backend.allocI32(16);
      backend.writeI32(rows, [...Array(16).keys()]);
      const out = backend.allocF32(expected.length);
      backend.embedding(out, rows, table, 16);
      assert.equal(await backend.readF32(out, expected.length), expected);
    },
  );

  sharedTest(
    test,
    `${name}: logits near llama.cpp's and near the reference that rounds as the kernels do`,
    async () => {
      const { ids } = JSON.parse(readFileSync(sharedFile('data/fixtures/llama.cpp/logits.json'), 'utf8'))[
        name
      ];
      const feeds = [{ ids, slot: 0, chunk: 16 }];
      const limits = { contextLength: 32 };
      const [logits] = await runTogether(await llamaOf(await BACKENDS['simd']!(), bytes(), limits), feeds);
      const rounding = new Reference({ roundActivations: true });
      const [expected] = await runTogether(await llamaOf(rounding, bytes(), limits), feeds);
      const toLlamaCpp = nmse(logits!, fixture(`${name}.logits`));
      const toReference = nmse(logits!, expected!);
      assert.ok(toLlamaCpp < 1e-3, `llama.cpp: NMSE ${toLlamaCpp}`);
      assert.ok(toReference < 1e-5, `reference: NMSE ${toReference}`);
    },
  );
}

test.run();
