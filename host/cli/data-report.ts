import { openTokenizer } from '../index.ts';
import { type DataReport, type Identities, dataReport as reportOn } from '../train/index.ts';
import { type Command, command, flag, only, text, UsageError } from './args.ts';
import { dataOptions, readJson, sourcesFrom } from './data-options.ts';
import { bytes, table } from './format.ts';
import { Progress } from './progress.ts';
import { jsonLine, oneLine, write } from './terminal.ts';

export const dataReport: Command = command({
  name: 'cria data report',
  positionals: ['FILES...'],
  summary: 'Tell what a corpus holds: sizes, licences, languages, pronouns, identity terms',
  notes:
    'FILES are texts, JSONL, Parquet, or one configuration of data (.json). Shares are those of section 4.1 of the Llama 2\n' +
    'paper. Languages are told by script and function words: a short text is often unknown.',
  options: {
    tokenizer: text('FILE', 'count the tokens of this vocabulary too'),
    identities: text('FILE', 'JSON with other identity terms: {"axis": ["term", ...], ...}'),
    ...dataOptions,
    json: flag('print one JSON object'),
  },
  run: async (values, paths, { signal }) => {
    const { tokenizer, identities, json } = values;
    const sources = await sourcesFrom(paths, only(dataOptions, values));
    const progress = new Progress();
    const report = await reportOn(sources, {
      ...(tokenizer !== undefined && { tokenizer: await openTokenizer(tokenizer, { signal }) }),
      ...(identities !== undefined && { identities: await readIdentities(identities) }),
      signal,
      onProgress: at => progress.show(`${at.documents} documents, ${bytes(at.bytes)}`),
    }).finally(() => progress.clear());
    await write(json ? jsonLine(report) : reportText(report));
  },
});

async function readIdentities(path: string): Promise<Identities> {
  const terms = await readJson(path);
  const isList = (value: unknown) => Array.isArray(value) && value.every(term => typeof term === 'string');
  if (typeof terms !== 'object' || terms === null || !Object.values(terms).every(isList)) {
    throw new UsageError(`${path}: expected an object of lists of terms`);
  }
  return terms as Identities;
}

function reportText(report: DataReport): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)}%`;
  const heading = [
    '',
    'documents',
    'bytes',
    'words',
    ...(report.tokens === undefined ? [] : ['tokens']),
    'weight',
  ];
  const sizes = report.sources.map(({ name, documents, bytes: size, words, tokens, weight }) => [
    oneLine(name),
    String(documents),
    bytes(size),
    String(words),
    ...(tokens === undefined ? [] : [String(tokens)]),
    String(weight),
  ]);
  const all = ['all', String(report.documents), bytes(report.bytes), String(report.words)];
  if (report.tokens !== undefined) all.push(String(report.tokens));
  const licenses = report.sources.flatMap(({ name, licenses, attributions }) =>
    Object.entries(licenses).map(([license, documents], i) => [
      oneLine(name),
      oneLine(license),
      `${documents} documents`,
      i === 0 && attributions.length > 0 ? `${attributions.length} to be named` : '',
    ]),
  );
  const { pronouns, identities } = report;
  const rates = (of: DataReport['languages'], indent = '') =>
    Object.entries(of).map(([name, { documents, share }]) => [
      `${indent}${oneLine(name)}`,
      percent(share),
      String(documents),
    ]);
  const { gendered, she, he, unspecified, any, first, second, third } = pronouns;
  return [
    `Sizes\n${table([heading, ...sizes, ...(sizes.length > 1 ? [all] : [])], [1, 2, 3, 4, 5])}`,
    `Licences\n${table(licenses)}`,
    `Scripts, of the letters\n${table(
      Object.entries(report.scripts).map(([name, share]) => [name, percent(share)]),
      [1],
    )}`,
    `Languages, of the documents\n${table(rates(report.languages), [1, 2])}`,
    `Pronouns: documents with any, and of those\n${table(
      [
        ...rates({ 'she, he or they': gendered }),
        ...rates({ she, he, they: unspecified }, '  '),
        ...rates({ any }),
        ...rates({ first, second, third }, '  '),
      ],
      [1, 2],
    )}`,
    `Identities: documents with a term, and of those\n${table(
      Object.entries(identities).flatMap(([axis, { terms, ...own }]) => [
        ...rates({ [axis]: own }),
        ...rates(terms, '  '),
      ]),
      [1, 2],
    )}`,
  ].join('');
}
