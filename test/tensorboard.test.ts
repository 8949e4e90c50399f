// The log that TensorBoard reads: checksums by published vectors, the beginning that TensorFlow's own files have, and every
// event back by a reader of the tests.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFields } from '../host/protobuf.ts';
import { crc32c, eventFileHead, eventFileName, scalarsEvent } from '../host/train/tensorboard.ts';

const double = (bits: bigint) => new Float64Array(BigUint64Array.of(bits).buffer)[0]!;
const float = (bits: bigint) => new Float32Array(Uint32Array.of(Number(bits)).buffer)[0]!;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** The messages of a file whose checksums are right. */
function* records(file: Uint8Array): Generator<Map<number, bigint | Uint8Array>> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const unmasked = (at: number) => {
    const moved = (view.getUint32(at, true) - 0xa282ead8) >>> 0;
    return ((moved >>> 17) | (moved << 15)) >>> 0;
  };
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true));
    assert.is(unmasked(at + 8), crc32c(file.subarray(at, at + 8)));
    const bytes = file.subarray(at + 12, at + 12 + length);
    assert.is(unmasked(at + 12 + length), crc32c(bytes));
    yield new Map(Array.from(readFields(bytes, 'event'), ({ number, value }) => [number, value]));
    at += 16 + length;
  }
}

test('CRC-32C: the vectors of RFC 3720', () => {
  assert.is(crc32c(new TextEncoder().encode('123456789')), 0xe3069283);
  assert.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.is(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.is(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

test('a file begins as those of TensorFlow do', () => {
  const head = eventFileHead(8, 1_700_000_000.5);
  // a record of 24 bytes and the checksum of that number
  assert.equal([...head.subarray(0, 12)], [0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
  const [version, start] = [...records(head)] as [Map<number, bigint>, Map<number, bigint | Uint8Array>];
  assert.is(double(version.get(1)!), 1_700_000_000.5);
  assert.is(text(version.get(3) as unknown as Uint8Array), 'brain.Event:2');
  assert.is(start.get(2), 8n);
  assert.equal([...(start.get(7) as Uint8Array)], [8, 1]);
  assert.match(eventFileName(1_700_000_000.5), /^events\.out\.tfevents\.1700000000\./);
});

test('the numbers of a step come back', () => {
  const values = { 'loss/train': 1.5, norm: 0.25, learning_rate: 2 ** -10 };
  const [event] = [...records(scalarsEvent({ step: 12345, time: 7.25, values }))];
  assert.is(double(event!.get(1) as bigint), 7.25);
  assert.is(event!.get(2), 12345n);
  const found = Array.from(readFields(event!.get(5) as Uint8Array, 'summary'), ({ number, value }) => {
    assert.is(number, 1);
    const fields = new Map(
      Array.from(readFields(value as Uint8Array, 'value'), ({ number, value }) => [number, value]),
    );
    return [text(fields.get(1) as Uint8Array), float(fields.get(2) as bigint)];
  });
  assert.equal(Object.fromEntries(found), values);
});

test.run();
