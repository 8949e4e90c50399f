import { MessageWriter } from '../protobuf.ts';

/** Numbers of a step, by what TensorBoard calls them: names with a slash stand together. */
export interface Scalars {
  step: number;
  /** Seconds since 1970. */
  time: number;
  values: Readonly<Record<string, number>>;
}

// tensorflow/core/util/event.proto, framework/summary.proto
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2 } as const;
const SESSION = { status: 1 } as const;
const START = 1;

/** How the file must be called: TensorBoard looks for `tfevents`. */
export const eventFileName = (time: number): string => `events.out.tfevents.${Math.floor(time)}.cria`;

/** What a file of events begins with. Of what other files of the run say, TensorBoard drops the steps from `step` on. */
export function eventFileHead(step: number, time: number): Uint8Array {
  const version = new MessageWriter().double(EVENT.wallTime, time).string(EVENT.fileVersion, 'brain.Event:2');
  const start = new MessageWriter()
    .double(EVENT.wallTime, time)
    .int(EVENT.step, step)
    .bytes(EVENT.sessionLog, new MessageWriter().int(SESSION.status, START).done());
  return Uint8Array.from([...record(version.done()), ...record(start.done())]);
}

/** The event of a step. */
export function scalarsEvent({ step, time, values }: Scalars): Uint8Array {
  const summary = new MessageWriter();
  for (const [tag, value] of Object.entries(values)) {
    const entry = new MessageWriter().string(VALUE.tag, tag).float(VALUE.simpleValue, value);
    summary.bytes(SUMMARY.value, entry.done());
  }
  const event = new MessageWriter().double(EVENT.wallTime, time).int(EVENT.step, step);
  return record(event.bytes(EVENT.summary, summary.done()).done());
}

/** A record of a TFRecord file: length, its checksum, the bytes, their checksum (tensorflow, lib/io/record_writer.cc). */
function record(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(16 + bytes.length);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(bytes.length), true);
  view.setUint32(8, masked(crc32c(out.subarray(0, 8))), true);
  out.set(bytes, 12);
  view.setUint32(12 + bytes.length, masked(crc32c(bytes)), true);
  return out;
}

/** CRC-32C (Castagnoli; RFC 3720, B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** A checksum of bytes that hold checksums is weak, so it is rotated and moved. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
