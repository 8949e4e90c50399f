import type { Vocabulary } from '../index.ts';
import { readDocuments, trainTokenizer, writeSentencePiece, writeVocabularyGguf } from '../train/index.ts';
import { type Command, command, flag, integer, number, only, text, UsageError } from './args.ts';
import { dataOptions, sourcesFrom } from './data-options.ts';
import { bytes } from './format.ts';
import { writeNewFile } from './new-file.ts';
import { Progress } from './progress.ts';
import { jsonLine, oneLine, write } from './terminal.ts';

const pieceOptions = {
  characterCoverage: number(
    'X',
    { min: 1e-6, max: 1 },
    'share of the text whose characters become pieces; default 0.99995',
  ),
  maxPieceLength: integer('N', { min: 1, max: 512 }, 'characters of a piece at most; default 16'),
};

export const tokenizerTrain: Command = command({
  name: 'cria tokenizer train',
  positionals: ['FILES...'],
  summary: 'Make a vocabulary for a text: BPE, as SentencePiece has it',
  notes:
    'FILES are texts, JSONL, Parquet, or one configuration of data (.json). --out is written as its name ends: .gguf, or\n' +
    '.model, which SentencePiece opens. The same text gives the same vocabulary on every machine.',
  options: {
    vocabSize: integer('N', { min: 4, max: 2 ** 24 }, 'pieces in all, with 3 special ones and 256 bytes'),
    out: text('FILE', 'where to write: FILE.gguf or FILE.model'),
    ...pieceOptions,
    noByteFallback: flag('no pieces for bytes: characters without a piece are unknown'),
    noSplitDigits: flag('let digits merge'),
    noDummyPrefix: flag('put no space before a text'),
    ...dataOptions,
    json: flag('print one JSON object'),
  },
  run: async (values, paths, { signal }) => {
    const { vocabSize, out, json } = values;
    if (vocabSize === undefined) throw new UsageError('--vocab-size is missing');
    if (out === undefined) throw new UsageError('--out is missing');
    const encode = encoderFor(out);
    const sources = await sourcesFrom(paths, only(dataOptions, values));
    const rest = { ...only(pieceOptions, values), splitDigits: !values.noSplitDigits };
    const progress = new Progress();
    const trained = await trainTokenizer(textsOf(sources, signal), {
      vocabSize,
      ...rest,
      byteFallback: !values.noByteFallback,
      addDummyPrefix: !values.noDummyPrefix,
      signal,
      onProgress: ({ done, total }) => progress.show(`piece ${done} of ${total}`),
    }).finally(() => progress.clear());
    const { vocabulary, ...figures } = trained;
    await writeNewFile(out, paths[0]!, put => put(encode(vocabulary, rest)));
    const report = { out, pieces: vocabulary.pieces.length, ...figures };
    const said =
      `${oneLine(out)}: ${report.pieces} pieces (${report.merges} merged, ${report.characters} characters) ` +
      `from ${report.documents} documents, ${bytes(report.bytes)}\n`;
    await write(json ? jsonLine(report) : said);
  },
});

type Encoder = (vocabulary: Vocabulary, trained: Parameters<typeof writeSentencePiece>[1]) => Uint8Array;

function encoderFor(out: string): Encoder {
  if (out.endsWith('.model')) return writeSentencePiece;
  if (out.endsWith('.gguf')) return vocabulary => writeVocabularyGguf(vocabulary);
  throw new UsageError(`--out: expected a name that ends in .gguf or .model, got ${JSON.stringify(out)}`);
}

async function* textsOf(
  sources: Awaited<ReturnType<typeof sourcesFrom>>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for (const source of sources) for await (const { text } of readDocuments(source, signal)) yield text;
}
