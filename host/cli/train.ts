import { mkdir } from 'node:fs/promises';
import { openTokenizer } from '../index.ts';
import {
  checkSameRun,
  createTrainer,
  flopsPerToken,
  folderStore,
  latestCheckpoint,
  memoryStore,
  openData,
  type RunStore,
  removeHalves,
  runFolder,
  runIdentity,
  runTraining,
  type TokenData,
  type Trainer,
  type TrainOptions,
  tokensOfStep,
  trainConfig,
  weightsFrom,
  writeVocabularyGguf,
} from '../train/index.ts';
import { type Command, command, flag, integer, only, texts, UsageError } from './args.ts';
import { dataOptions } from './data-options.ts';
import { bytes, duration, table } from './format.ts';
import { say, write } from './terminal.ts';
import { TrainLog } from './train-log.ts';
import { readJob, type TrainJob, trainOptions } from './train-options.ts';

export const train: Command = command({
  name: 'cria train',
  positionals: ['[CONFIG.json]'],
  summary: 'Train a Llama from texts',
  notes:
    'CONFIG.json holds the options by their names without dashes (nLayers, learningRate, ...) and `sources`, the texts.\n' +
    'Options given here win. Ctrl-C saves a checkpoint; --resume goes on from the last one. The same configuration gives\n' +
    'the same model, to the bit, on every machine, for any number of ranks, stopped and resumed or not; with --backend cuda\n' +
    'on the same GPU.',
  options: {
    ...trainOptions,
    data: texts('FILE', 'a text instead of those of the configuration'),
    ...dataOptions,
    resume: flag('go on from the last checkpoint of the run; without one, begin'),
    until: integer('STEP', { min: 1 }, 'stop after this step, with a checkpoint'),
    dryRun: flag('print parameters, memory, work and time needed, and write nothing'),
  },
  run: async (values, [path], { signal }) => {
    const { data: files = [], resume = false, until, dryRun = false } = values;
    const { separator, ...format } = only(dataOptions, values);
    const spelt = separator?.replaceAll('\\n', '\n');
    const given = files.map(file => ({
      files: [file],
      ...format,
      ...(spelt !== undefined && { separator: spelt }),
    }));
    const job = await readJob(path, only(trainOptions, values), given);
    const prepared = await prepare(job, dryRun, signal);
    try {
      if (dryRun) await write(await estimate(prepared, job));
      else await go(prepared, job, resume, until, signal);
    } finally {
      await prepared.trainer.close();
    }
  },
});

interface Prepared {
  trainer: Trainer;
  tokenizer: Awaited<ReturnType<typeof openTokenizer>>;
  store: RunStore;
  run: string;
  flops: number;
  /** What each source gives. */
  sources: TokenData['sources'];
}

async function prepare(job: TrainJob, dryRun: boolean, signal: AbortSignal): Promise<Prepared> {
  const from = job.from === undefined ? undefined : await weightsFrom(job.from, signal);
  const vocabulary = job.tokenizer ?? job.from;
  if (vocabulary === undefined)
    throw new UsageError('--tokenizer is missing: `cria tokenizer train` makes one');
  const tokenizer = await openTokenizer(vocabulary, { signal });
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, normEps, ropeTheta, contextLength } = from?.config ?? {};
  const shape = from && { dim, hiddenDim, nLayers, nHeads, nKvHeads, normEps, ropeTheta, tied: from.tied };
  const config = trainConfig({ contextLength, ...job.config, ...shape } as TrainOptions);
  const store = runFolder(job.out);
  const data = { seed: config.seed, ...job.data };
  const batches = await openData(job.sources, tokenizer, {
    ...data,
    B: config.sequences,
    T: config.contextLength,
    microBatches: config.microBatches,
    store: dryRun ? memoryStore() : job.cache === undefined ? store : folderStore(job.cache),
    signal,
  });
  for (const { name, documents, tokens } of batches.sources) {
    if (tokens.train === 0 && tokens.validation > 0) {
      const all =
        documents.validation === 1 ? 'its only document is' : `all ${documents.validation} documents are`;
      say(`${name}: nothing to train on, ${all} kept for validation: name the separator, or --split tail`);
    }
  }
  const { sources } = job;
  const run = await runIdentity({ config, tokenizer, sources, data, from: from?.weights });
  const trainer = await createTrainer(config, batches, {
    vocabSize: tokenizer.size,
    ranks: job.ranks,
    backend: job.backend,
    precision: job.precision,
    from: from?.weights,
  });
  const { parameters } = trainer;
  const perToken = flopsPerToken(parameters, trainer.llama, config.tied, config.contextLength);
  const flops = perToken * tokensOfStep(config);
  return { trainer, tokenizer, store, run, flops, sources: batches.sources };
}

async function go(
  { trainer, tokenizer, store, run, flops }: Prepared,
  job: TrainJob,
  resume: boolean,
  until: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(job.out, { recursive: true });
  await removeHalves(store);
  const found = await latestCheckpoint(store);
  if (found && !resume) {
    throw new UsageError(`${job.out}: a run is there, at ${found.name}: --resume, or another --out`);
  }
  if (found) {
    checkSameRun(found, run);
    trainer.restore(found.checkpoint.state);
    for (const { name, error } of found.torn) say(`${name} is not used: ${error.message}`);
  }
  const { config, model } = trainer;
  const vocabulary = writeVocabularyGguf(tokenizer.vocabulary);
  await store.write('tokenizer.gguf', sink => sink.write(vocabulary));
  const about = {
    run,
    parameters: model.parameters.count,
    flops,
    ranks: job.ranks,
    backend: job.backend,
    precision: job.precision,
    config,
    llama: trainer.llama,
  };
  const log = await TrainLog.open(job.out, about, trainer.step, job.logEvery);
  try {
    const end = Math.min(until ?? config.steps, config.steps);
    const plan = { keep: 3, ...job.plan };
    const options = { trainer, tokenizer, store, run, plan, signal };
    for await (const event of runTraining({ ...options, ...(until !== undefined && { until }) })) {
      await log.take(event, end);
    }
  } catch (error) {
    log.clear();
    if (signal.aborted) say(`stopped after step ${trainer.step}; --resume goes on`);
    throw error;
  } finally {
    await log.close();
  }
}

/** The costs of the run; its time from that of a micro-batch that is really computed. */
async function estimate({ trainer, flops, sources }: Prepared, job: TrainJob): Promise<string> {
  const { config, model, llama } = trainer;
  const tokens = new Int32Array(model.n);
  const batch = { tokens, targets: tokens, coef: new Float32Array(model.n) };
  await model.backward(batch); // the engine compiles
  const from = performance.now();
  await model.backward(batch);
  const ms = performance.now() - from;
  const rounds = Math.ceil(config.microBatches / job.ranks);
  const seconds = (ms * rounds * config.steps) / 1000;
  const perStep = tokensOfStep(config);
  return table([
    ['parameters', String(model.parameters.count)],
    [
      'model',
      `dim ${llama.dim}, hidden ${llama.hiddenDim}, ${llama.nLayers} layers, ${llama.nHeads} heads on ${llama.nKvHeads}, vocabulary ${llama.vocabSize}`,
    ],
    ['a step', `${perStep} tokens: ${config.microBatches} of ${config.sequences} x ${config.contextLength}`],
    ['the run', `${config.steps} steps, ${perStep * config.steps} tokens`],
    ...sources.map(({ name, tokens, share }) => [
      name,
      `${tokens.train} tokens, ${(100 * share).toFixed(0)} % of a step; ${tokens.validation} kept for validation`,
    ]),
    ['memory', `${bytes(model.backend.bytes)} a rank, ${job.ranks} ranks`],
    ['checkpoint', bytes(12 * model.parameters.size)],
    [
      'work',
      `${(flops / 1e9).toFixed(1)} GFLOP a step, ${(flops * config.steps).toExponential(2)} FLOP in all`,
    ],
    [
      'speed',
      `${(flops / config.microBatches / ms / 1e6).toFixed(1)} GFLOP/s a rank, of a micro-batch computed now`,
    ],
    ['time', `about ${duration(seconds)}`],
  ]);
}
