import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';

/** Where an entry's bytes lie. */
export interface ZipEntry {
  offset: number;
  size: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
/** The end record, behind which a comment may stand. */
const END_BYTES = 22;
const COMMENT = 0xffff;
/** A longer directory is no checkpoint's. */
const DIRECTORY_LIMIT = 2 ** 26;

/** Whether bytes begin as a ZIP file does. */
export const isZip = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === LOCAL;

/**
 * The entries of a ZIP archive, those of ZIP64 too (PKWARE, APPNOTE.TXT 4.3 and 4.4), stored as they are: `torch.save`
 * compresses nothing.
 * @throws FileError 'bad-zip'
 */
export async function readZip(source: Source, signal?: AbortSignal): Promise<Map<string, ZipEntry>> {
  const fail = (place: string, expected: string, got: string): FileError =>
    new FileError('bad-zip', {
      where: `${source.name}: ${place}`,
      expected,
      got,
      hint: 'The file is damaged or cut off: download it again.',
    });
  const bytesAt = async (offset: number, length: number, place: string): Promise<DataView> => {
    if (!(offset >= 0 && offset + length <= source.size)) {
      throw fail(place, `${length} bytes within the file's ${source.size}`, `byte ${offset}`);
    }
    const bytes = new Uint8Array(length);
    await source.readInto(bytes, offset, signal);
    return new DataView(bytes.buffer);
  };
  const tailBytes = Math.min(source.size, END_BYTES + COMMENT);
  const tail = await bytesAt(source.size - tailBytes, tailBytes, 'end');
  let at = tailBytes - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) throw fail('end', 'the record that ends a ZIP archive', 'none');
  let size = tail.getUint32(at + 12, true);
  let offset = tail.getUint32(at + 16, true);
  if (at >= 20 && tail.getUint32(at - 20, true) === LOCATOR64) {
    const end64 = await bytesAt(Number(tail.getBigUint64(at - 12, true)), 56, 'end of ZIP64');
    if (end64.getUint32(0, true) !== END64) throw fail('end of ZIP64', 'its record', 'something else');
    size = Number(end64.getBigUint64(40, true));
    offset = Number(end64.getBigUint64(48, true));
  }
  if (size > DIRECTORY_LIMIT) throw fail('directory', `at most ${DIRECTORY_LIMIT} bytes`, `${size}`);
  const directory = await bytesAt(offset, size, 'directory');
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at < size; ) {
    if (at + 46 > size || directory.getUint32(at, true) !== CENTRAL)
      throw fail(`directory, byte ${at}`, 'an entry', 'something else');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map(i => directory.getUint16(at + i, true));
    const end = at + 46 + nameBytes! + extraBytes! + commentBytes!;
    if (end > size) throw fail(`directory, byte ${at}`, 'an entry within it', `one of ${end - at} bytes`);
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameBytes));
    const method = directory.getUint16(at + 10, true);
    if (method !== 0)
      throw fail(JSON.stringify(name), 'bytes that are stored as they are', 'compressed ones');
    const local = wide(directory, at, at + 46 + nameBytes!, extraBytes!);
    const header = await bytesAt(local.offset, 30, JSON.stringify(name));
    if (header.getUint32(0, true) !== LOCAL)
      throw fail(JSON.stringify(name), 'an entry where the directory says', 'something else');
    const first = local.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    if (!(first + local.size <= source.size))
      throw fail(JSON.stringify(name), `${local.size} bytes`, `${source.size - first}`);
    entries.set(name, { offset: first, size: local.size });
    at = end;
  }
  return entries;
}

/** Size and place of an entry's header; what does not fit 32 bits is in the extra field 1. */
function wide(directory: DataView, at: number, extra: number, extraBytes: number): ZipEntry {
  let size = directory.getUint32(at + 20, true);
  let offset = directory.getUint32(at + 42, true);
  for (let field = extra; field + 4 <= extra + extraBytes; ) {
    const bytes = directory.getUint16(field + 2, true);
    if (directory.getUint16(field, true) === 1) {
      let value = field + 4;
      const next = (): number => {
        value += 8;
        return value <= extra + extraBytes ? Number(directory.getBigUint64(value - 8, true)) : Number.NaN;
      };
      // in the order of the 32-bit fields: what it is unpacked, stored, and where
      if (directory.getUint32(at + 24, true) === 0xffffffff) next();
      if (size === 0xffffffff) size = next();
      if (offset === 0xffffffff) offset = next();
    }
    field += 4 + bytes;
  }
  return { offset, size };
}
