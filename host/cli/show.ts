import { type FileReport, inspect, type MetadataValue, openTokenizer } from '../index.ts';
import { byteCount, type Command, command, flag } from './args.ts';
import { bytes, shortest, table } from './format.ts';
import { modelOptions } from './options.ts';
import { jsonLine, oneLine, write } from './terminal.ts';

const SHOWN_ITEMS = 6;
const SHOWN_CHARACTERS = 100;

export const show: Command = command({
  name: 'cria show',
  positionals: ['MODEL'],
  summary: 'Print what a model file holds and the memory that it needs',
  options: {
    json: flag('print one JSON object'),
    context: modelOptions.context,
    kvCache: modelOptions.kvCache,
    threads: modelOptions.threads,
    memory: byteCount('SIZE', { min: 1 }, 'tell whether the model fits into so much: 128MB, 4GiB, ...'),
    tokenizer: modelOptions.tokenizer,
  },
  run: async (
    { json, context: contextLength, memory: memoryLimit, tokenizer, ...rest },
    [path],
    { signal },
  ) => {
    const report = await inspect(path!, { signal, contextLength, memoryLimit, ...rest });
    const vocabulary = tokenizer === undefined ? undefined : await openTokenizer(tokenizer, { signal });
    const { size, bos, eos } = vocabulary ?? {};
    if (json) {
      await write(
        jsonLine({ ...reportObject(report), ...(vocabulary && { tokenizer: { size, bos, eos } }) }),
      );
    } else {
      await write(reportText(report));
      if (vocabulary) await write(`\nTokenizer with ${size} pieces, BOS ${bos}, EOS ${eos}\n`);
    }
  },
});

/** The report as JSON values: long arrays by their length and first items, what JSON has no number for as text. */
function reportObject({ metadata, runnable, ...rest }: FileReport): Record<string, unknown> {
  return {
    ...rest,
    metadata: Object.fromEntries([...metadata].map(([key, value]) => [key, jsonValue(value)])),
    runnable:
      'error' in runnable
        ? { error: { code: runnable.error.code, message: runnable.error.message } }
        : runnable,
  };
}

function jsonValue(value: MetadataValue): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object') return value;
  const first = Array.from<MetadataValue>(value.slice(0, SHOWN_ITEMS)).map(jsonValue);
  return value.length <= SHOWN_ITEMS ? first : { length: value.length, first };
}

function reportText(report: FileReport): string {
  const { format, version, size, metadata, tensors } = report;
  const keys = [...metadata].map(([key, value]) => [oneLine(key), valueText(value)]);
  const rows = tensors.map(({ name, dtype, dims, bytes, offset }) => [
    oneLine(name),
    dtype,
    dims.join(' x '),
    String(bytes),
    String(offset),
  ]);
  return [
    `${format} version ${version}, ${bytes(size)}\n`,
    `\nMetadata (${keys.length})\n${table(keys)}`,
    `\nTensors (${tensors.length})\n${tensorTable(rows)}`,
    `\n${memoryText(report)}`,
  ].join('');
}

function tensorTable(rows: string[][]): string {
  return rows.length === 0 ? '' : table([['name', 'type', 'shape', 'bytes', 'offset'], ...rows], [3, 4]);
}

function memoryText({ runnable }: FileReport): string {
  if ('error' in runnable) return `Cannot be run: ${oneLine(runnable.error.message)}\n`;
  const { memory } = runnable;
  const { contextLength, threads, fits, largestContextLength } = memory;
  const on = threads > 1 ? ` on ${threads} threads` : '';
  const verdict = fits
    ? ''
    : `Does not fit: ${largestContextLength > 0 ? `a context of ${largestContextLength} tokens would` : 'no context would'}\n`;
  return `Memory at a context of ${contextLength} tokens${on}\n${table(
    [
      ['weights', bytes(memory.weights)],
      ['kv cache', bytes(memory.cache), `${bytes(memory.cachePerToken)} a token`],
      ['activations', bytes(memory.activations)],
      ['kernels', bytes(memory.kernels)],
      ['total', bytes(memory.total), `and ${bytes(memory.loading)} while it loads`],
    ],
    [1],
  )}${verdict}`;
}

function valueText(value: MetadataValue): string {
  if (typeof value === 'number') return shortest(value);
  if (typeof value === 'string') return stringText(value);
  if (typeof value !== 'object') return String(value);
  const first = Array.from<MetadataValue>(value.slice(0, SHOWN_ITEMS)).map(valueText);
  const more = value.length > SHOWN_ITEMS ? ', ...' : '';
  return `[${value.length}] ${first.join(', ')}${more}`;
}

function stringText(value: string): string {
  if (value.length <= SHOWN_CHARACTERS) return oneLine(JSON.stringify(value));
  return `${oneLine(JSON.stringify(value.slice(0, SHOWN_CHARACTERS)))}... (${value.length} characters)`;
}
