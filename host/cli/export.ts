import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { openTokenizer, QUANTIZE_TYPES, type QuantizeType } from '../index.ts';
import {
  BEST,
  decodeCheckpoint,
  exportGguf,
  huggingFaceFiles,
  latestCheckpoint,
  llama2cCheckpoint,
  llama2cTokenizer,
  readFrom,
  runFolder,
  type SafetensorsType,
  type Trained,
  trainedModel,
} from '../train/index.ts';
import { type Command, choice, command, flag, text, UsageError } from './args.ts';
import { writeNewFile } from './new-file.ts';
import { oneLine, say } from './terminal.ts';

const FLOATS: readonly string[] = ['F32', 'F16', 'BF16'] satisfies SafetensorsType[];

export const exportModel: Command = command({
  name: 'cria export',
  positionals: ['RUN', 'OUT'],
  summary: 'Write a trained model for other programs',
  notes:
    'RUN is the folder of a run, of which the checkpoint with the lowest validation loss is taken, or a checkpoint.\n' +
    'OUT is a file; for safetensors a folder in the layout of Hugging Face, with config.json and tokenizer.model. With\n' +
    `llama2.c, OUT.tokenizer.bin is written too. TYPE is ${QUANTIZE_TYPES.slice(0, 9).join(', ')}, ...: see cria quantize.`,
  options: {
    format: choice(['gguf', 'safetensors', 'llama2.c'], 'default gguf'),
    type: {
      ...choice(QUANTIZE_TYPES, 'what matrices are stored in; default F16, for llama2.c F32'),
      value: 'TYPE',
    },
    name: text('TEXT', "the model's name in GGUF; default: that of the file"),
    latest: flag('take the last checkpoint of the run'),
    tokenizer: text('FILE', 'the vocabulary; default: tokenizer.gguf beside the checkpoint'),
  },
  run: async ({ format = 'gguf', type, name, latest = false, tokenizer }, [from, to], { signal }) => {
    const out = to!;
    const trained = await openTrained(from!, latest, tokenizer);
    if (format === 'gguf') await writeGguf(trained, out, type ?? 'F16', name, signal);
    else if (format === 'llama2.c') await writeLlama2c(trained, out, type);
    else await writeHuggingFace(trained, out, type ?? 'F16');
  },
});

async function openTrained(from: string, latest: boolean, tokenizer: string | undefined): Promise<Trained> {
  const isFolder = (await stat(from).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? from : dirname(from);
  const store = runFolder(folder);
  const name = isFolder ? BEST : basename(from);
  const bytes = latest && isFolder ? undefined : await readFrom(store, name);
  const found = bytes
    ? { name, checkpoint: await decodeCheckpoint(bytes, from) }
    : isFolder
      ? await latestCheckpoint(store)
      : undefined;
  if (!found) throw new UsageError(`${from}: expected a run or a checkpoint, got neither`);
  const { step, best } = found.checkpoint.state;
  const loss = best === undefined ? '' : `, lowest validation loss ${best.toFixed(4)}`;
  say(`${oneLine(found.name)}: step ${step}${loss}`);
  const { vocabulary } = await openTokenizer(tokenizer ?? join(folder, 'tokenizer.gguf'));
  return trainedModel(found.checkpoint, vocabulary);
}

async function writeGguf(
  trained: Trained,
  out: string,
  type: QuantizeType,
  given: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const name = given ?? basename(out).replace(/\.gguf$/, '');
  await writeNewFile(out, '', write => exportGguf(trained, { write }, { type, name, signal }));
}

async function writeLlama2c(trained: Trained, out: string, type: QuantizeType | undefined): Promise<void> {
  if (type !== undefined && type !== 'F32') throw new UsageError(`--type: llama2.c is F32, got ${type}`);
  const model = await llama2cCheckpoint(trained);
  await writeNewFile(out, '', write => write(model));
  const vocabulary = llama2cTokenizer(trained.vocabulary);
  await writeNewFile(`${out}.tokenizer.bin`, '', write => write(vocabulary));
}

async function writeHuggingFace(trained: Trained, out: string, type: QuantizeType): Promise<void> {
  if (!FLOATS.includes(type)) throw new UsageError(`--type: expected ${FLOATS.join(', ')}, got ${type}`);
  await mkdir(out, { recursive: true });
  for (const [name, bytes] of huggingFaceFiles(trained, type as SafetensorsType)) {
    await writeNewFile(join(out, name), '', write => write(bytes));
  }
}
