import type { ModelSource } from '../api.ts';
import { checkOptions, OPEN_RULES, type Rules } from '../check.ts';
import { FileError, OptionError } from '../errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { OpenSource } from '../sources.ts';
import { turn } from '../turn.ts';
import { isPlainName, type Manifest, makeManifest, PART_LIMIT, type Part } from './manifest.ts';

/** Opens a file to be written; a `WritableStreamDefaultWriter<Uint8Array>` is one of what it may give. */
export type SinkFor = (name: string) => WritablePart | Promise<WritablePart>;

export interface WritablePart {
  /** The bytes given are the sink's own. */
  write(bytes: Uint8Array): Promise<void>;
  close?(): Promise<void>;
}

export interface SplitOptions {
  /** Bytes of a part, at most 2^28. Default 25,000,000, which the static assets and values of edge platforms may have. */
  part?: number;
  /** What the parts' names begin with. Default: the source's own name. */
  name?: string;
  signal?: AbortSignal;
  /** Called as parts are written, with bytes. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

export const PART: number = 25_000_000;
const MOST_PARTS = 20_000;
/** Bytes that are read and written at once. */
const PIECE = 2 ** 20;

const RULES: Rules = {
  part: {
    expected: `an integer from 1 to ${PART_LIMIT}`,
    numeric: true,
    test: v => Number.isInteger(v) && (v as number) >= 1 && (v as number) <= PART_LIMIT,
  },
  name: {
    expected: 'the name of a file without a folder, of at most 200 characters',
    numeric: false,
    test: v => isPlainName(v) && v.length <= 200,
  },
  signal: OPEN_RULES['signal']!,
  onProgress: OPEN_RULES['onProgress']!,
};

/** See `Cria.split`. @internal */
export async function split(
  source: ModelSource,
  sinkFor: SinkFor,
  options: SplitOptions,
  openSource: OpenSource,
  sha256: Runtime['sha256'],
): Promise<Manifest> {
  checkOptions('split', options, RULES);
  const { part = PART, signal, onProgress } = options;
  const opened = await openSource(source, signal);
  try {
    const { size } = opened;
    const name = options.name ?? lastOf(opened.name);
    checkCount(size, part, opened.name);
    const whole = sha256();
    const parts: Part[] = [];
    for (let start = 0; start < size; start += part) {
      const length = Math.min(part, size - start);
      const title = `${name}.part-${String(parts.length + 1).padStart(5, '0')}`;
      const hash = sha256();
      const sink = await sinkFor(title);
      for (let done = 0; done < length; ) {
        const bytes = new Uint8Array(Math.min(PIECE, length - done));
        await opened.readInto(bytes, start + done, signal);
        whole.update(bytes);
        hash.update(bytes);
        done += bytes.length;
        await sink.write(bytes);
        onProgress?.({ done: start + done, total: size });
        await turn(signal);
      }
      await sink.close?.();
      parts.push({ name: title, size: length, sha256: hash.digest() });
    }
    const manifest = makeManifest({ name, size, sha256: whole.digest(), parts });
    const sink = await sinkFor(`${name}.parts.json`);
    await sink.write(new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`));
    await sink.close?.();
    return manifest;
  } finally {
    await opened.close();
  }
}

/** The last part of a path or URL, as any system can have it. */
function lastOf(name: string): string {
  const path = /^https?:/i.test(name) ? name.replace(/[?#].*$/, '') : name;
  const last = path.replace(/^.*[/\\]/, '').replace(/[\p{Cc}:]/gu, '_');
  return isPlainName(last.slice(0, 200)) ? last.slice(0, 200) : 'model';
}

function checkCount(size: number, part: number, name: string): void {
  if (size === 0) {
    const hint = 'Download or copy it again.';
    throw new FileError('file-empty', { where: name, expected: 'a model', got: 'an empty file', hint });
  }
  if (Math.ceil(size / part) <= MOST_PARTS) return;
  throw new OptionError('option-range', {
    where: 'split: part',
    expected: `at least ${Math.ceil(size / MOST_PARTS)}, which makes ${MOST_PARTS} parts`,
    got: String(part),
    hint: 'Ask for larger parts.',
  });
}
