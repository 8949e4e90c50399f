// The relaxed build is inlined as a patch of the other, and both as text.

import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { patched } from '../host/patch.ts';
import { bytesOf } from '../host/text-bytes.ts';
import { makePatch } from '../scripts/make-patch.ts';
import { frequencyOrder, makeText } from '../scripts/make-text.ts';

test('a patch makes the bytes that it was made of', () => {
  const bytes = (most: number) => fc.uint8Array({ max: 3, maxLength: most });
  const piece = fc.record({ from: fc.nat(400), count: fc.nat(200), fresh: bytes(40) });
  fc.assert(
    fc.property(bytes(400), fc.array(piece, { maxLength: 6 }), (base, pieces) => {
      const target = Uint8Array.from(
        pieces.flatMap(({ from, count, fresh }) => [...fresh, ...base.subarray(from, from + count)]),
      );
      assert.equal(patched(base, makePatch(base, target)), target);
    }),
  );
});

test('what is in the base costs a few bytes', () => {
  const base = Uint8Array.from({ length: 5000 }, (_, i) => (i * i) >> 3);
  assert.ok(makePatch(base, base).length < 10);
});

test('bytes come back from their text, which any program may print', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 600 }), (bytes, others) => {
      const order = frequencyOrder([others]);
      const text = makeText(bytes, order);
      assert.match(text, /^[ -&(-[\]-~]*$/);
      assert.equal(bytesOf(text, Buffer.from(order).toString('hex')), bytes);
    }),
  );
});

test.run();
