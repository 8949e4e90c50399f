// Models in the layouts of Hugging Face (safetensors, config.json) and of Meta (consolidated.NN.pth, params.json), whose
// files lie beside each other.

import { FileError, quote } from '../errors.ts';
import { llamaShapes, type TensorShape } from '../llama-shape.ts';
import type { LlamaConfig, ModelFile, Vocabulary } from '../model-file.ts';
import type { Source } from '../source.ts';
import { readAll } from '../sources/bytes.ts';
import { renamed, type Spelling } from '../tensor-names.ts';
import { AssembledSource } from './assembled.ts';
import { configFromHuggingFace } from './hugging-face.ts';
import { Fields } from './json.ts';
import { configFromMeta, metaJoint } from './meta.ts';
import { readPth } from './pth.ts';
import { isSafetensors, readSafetensors } from './safetensors.ts';
import { type Recipe, recipe, type Stored } from './stored.ts';
import { isZip } from './zip.ts';

/** Tensors that follow from the hyper-parameters, which are saved with a state_dict where they are buffers. */
const LEFTOVER = /^rope\.freqs$|^freqs_(cos|sin|cis)$|\.attention\.mask$|\.rotary_emb\.inv_freq$/;

/**
 * The model that a file of another layout is a part of: any of `config.json`, `model.safetensors`,
 * `model.safetensors.index.json`, `params.json` and `consolidated.NN.pth` stands for all.
 *
 * @param first the beginning of `source`
 * @returns undefined for a file of neither
 * @throws FileError
 */
export async function foreignModel(
  source: Source,
  first: Uint8Array,
  signal?: AbortSignal,
): Promise<ModelFile | undefined> {
  const weights = isSafetensors(first, source.size) || isZip(first);
  if (!weights && first[0] !== 0x7b) return undefined;
  const opened: Source[] = [];
  const open = async (name: string): Promise<Source> => {
    if (!source.beside) throw alone(source.name, name);
    const found = await source.beside(name);
    opened.push(found);
    return found;
  };
  const beside: Beside = { source, open, opened, signal };
  try {
    const fields = weights ? undefined : await description(source, signal);
    if (!weights && !fields) return undefined;
    const given = weights ? source : undefined;
    const isMeta = weights ? isZip(first) : fields!.get('n_layers') !== undefined;
    return isMeta ? await meta(beside, given, fields) : await huggingFace(beside, given, fields);
  } catch (error) {
    await Promise.all(opened.map(file => file.close()));
    throw error;
  }
}

/** A JSON file that describes a model; undefined for any other. @throws FileError 'bad-json' if its name says that it does */
async function description(source: Source, signal: AbortSignal | undefined): Promise<Fields | undefined> {
  const fields = await Fields.of(source, signal).catch(error => {
    if (/(config|params|\.index)\.json$/.test(source.name)) throw error;
    return undefined;
  });
  const keys = ['model_type', 'hidden_size', 'weight_map', 'n_layers'];
  return fields && keys.some(key => fields.get(key) !== undefined) ? fields : undefined;
}

/** The file that was named, and what lies beside it. */
interface Beside {
  source: Source;
  /** @throws FileError 'file-not-found' */
  open(name: string): Promise<Source>;
  /** What has been opened so. */
  opened: Source[];
  signal: AbortSignal | undefined;
}

async function huggingFace(
  beside: Beside,
  weights: Source | undefined,
  fields: Fields | undefined,
): Promise<ModelFile> {
  const { source, open, signal } = beside;
  const index = fields?.get('weight_map') === undefined ? undefined : fields;
  const described = fields && !index ? fields : await Fields.of(await open('config.json'), signal);
  const config = configFromHuggingFace(described, source.name);
  const parts = index ?? (weights ? undefined : await optional(beside, 'model.safetensors.index.json'));
  const names = parts ? shardNames(parts, source.name) : ['model.safetensors'];
  const sources = weights ? [weights] : await Promise.all(names.map(open));
  const arrays = new Map<string, Stored>();
  for (const file of sources) {
    for (const [name, stored] of await readSafetensors(file, signal)) arrays.set(name, stored);
  }
  const find = (name: string) => {
    const stored = arrays.get(renamed(name, 'gguf', 'huggingFace')!);
    return stored && [stored];
  };
  const recipes = recipesOf(config, source.name, find, [...arrays.keys()], 'huggingFace', (shape, parts) =>
    recipe(shape, parts, 'rows', /\.attn_[qk]\./.test(shape.name) ? config.headDim : 0),
  );
  return assembled('safetensors', beside, config, recipes, sources);
}

async function meta(
  beside: Beside,
  weights: Source | undefined,
  fields: Fields | undefined,
): Promise<ModelFile> {
  const { source, open, signal } = beside;
  const described = fields ?? (await Fields.of(await open('params.json'), signal));
  const sources = [weights ?? (await open('consolidated.00.pth'))];
  const shards = [await readPth(sources[0]!, signal)];
  // the embedding is divided by columns
  const columns = shards[0]!.get('tok_embeddings.weight')?.shape[1] ?? 0;
  const count = Math.max(1, Math.min(64, Math.round(described.number('dim') / columns)));
  for (let shard = 1; shard < count; shard++) {
    const file = await open(`consolidated.${String(shard).padStart(2, '0')}.pth`);
    sources.push(file);
    shards.push(await readPth(file, signal));
  }
  const config = configFromMeta(described, shards, source.name);
  const find = (name: string) => {
    const parts = shards.map(shard => shard.get(renamed(name, 'gguf', 'meta')!));
    return parts.includes(undefined) ? undefined : (parts as Stored[]);
  };
  const names = [...shards[0]!.keys()];
  const recipes = recipesOf(config, source.name, find, names, 'meta', (shape, parts) =>
    recipe(shape, parts, metaJoint(renamed(shape.name, 'gguf', 'meta')!)),
  );
  return assembled('pth', beside, config, recipes, sources);
}

/** How every tensor of a Llama is made. @throws FileError 'missing-tensor', 'unexpected-tensor', and as `recipe` */
function recipesOf(
  config: LlamaConfig,
  where: string,
  find: (name: string) => Stored[] | undefined,
  names: readonly string[],
  spelling: Spelling,
  make: (shape: TensorShape, parts: Stored[]) => Recipe,
): Recipe[] {
  const recipes: Recipe[] = [];
  for (const shape of llamaShapes(config)) {
    const parts = find(shape.name);
    if (!parts) {
      throw new FileError('missing-tensor', {
        where,
        expected: quote(renamed(shape.name, 'gguf', spelling)!),
        got: 'files without it',
        hint: 'Download all files of the model; `config.json` or `params.json` must be its own.',
      });
    }
    recipes.push(make(shape, parts));
  }
  const output = find('output.weight');
  if (output) {
    const { vocabSize, dim } = config;
    recipes.push(make({ name: 'output.weight', rows: vocabSize, cols: dim, norm: false }, output));
  }
  const taken = new Set(recipes.map(({ shape }) => renamed(shape.name, 'gguf', spelling)));
  const odd = names.find(name => !taken.has(name) && !LEFTOVER.test(name));
  if (odd !== undefined) {
    throw new FileError('unexpected-tensor', {
      where,
      expected: 'only the tensors of a Llama',
      got: quote(odd),
      hint: 'The model is not a plain Llama; Cria would compute something else than it was trained for.',
    });
  }
  return recipes;
}

async function assembled(
  format: 'safetensors' | 'pth',
  beside: Beside,
  config: LlamaConfig,
  recipes: readonly Recipe[],
  sources: readonly Source[],
): Promise<ModelFile> {
  const { source, opened } = beside;
  const vocabulary = await vocabularyBeside(config, beside);
  const weights = new AssembledSource(source.name, recipes, sources, [source, ...opened]);
  return {
    format,
    version: 1,
    name: undefined,
    metadata: new Map(),
    config,
    tensors: weights.tensors,
    vocabulary,
    source: weights,
  };
}

/** That of `tokenizer.model`; undefined where there is none. */
async function vocabularyBeside(config: LlamaConfig, beside: Beside): Promise<Vocabulary | undefined> {
  const file = await found(beside, 'tokenizer.model');
  if (!file) return undefined;
  const { vocabularyFromSentencePiece } = await import('../sentencepiece.ts');
  const vocabulary = vocabularyFromSentencePiece(await readAll(file, beside.signal), file.name);
  if (vocabulary.types.length === config.vocabSize) return vocabulary;
  throw new FileError('bad-vocabulary', {
    where: file.name,
    expected: `${config.vocabSize} pieces, one a row of the embedding`,
    got: `${vocabulary.types.length}`,
    hint: 'Take the tokenizer that belongs to the model.',
  });
}

async function optional(beside: Beside, name: string): Promise<Fields | undefined> {
  const file = await found(beside, name);
  return file && Fields.of(file, beside.signal);
}

/** The file beside, if it is there. */
async function found({ source, open }: Beside, name: string): Promise<Source | undefined> {
  if (!source.beside) return undefined;
  try {
    return await open(name);
  } catch (error) {
    if ((error as FileError).code === 'file-not-found') return undefined;
    throw error;
  }
}

/** The files that an index names, which must lie beside it. @throws FileError 'bad-json' */
function shardNames(index: Fields, where: string): string[] {
  const map = index.get('weight_map');
  const names = [...new Set(Object.values((map ?? {}) as Record<string, unknown>))];
  for (const name of names) {
    if (typeof name === 'string' && /^[\w-][\w.-]*\.safetensors$/.test(name)) continue;
    throw new FileError('bad-json', {
      where: `${where}: weight_map`,
      expected: 'names of safetensors files beside it',
      got: JSON.stringify(name) ?? 'nothing',
      hint: 'The index is damaged: download it again.',
    });
  }
  return names as string[];
}

function alone(name: string, wanted: string): FileError {
  return new FileError('file-not-found', {
    where: name,
    expected: `${wanted} beside it`,
    got: 'bytes without a name',
    hint: 'Open such a model by the path or URL of one of its files, or convert it to GGUF.',
  });
}
