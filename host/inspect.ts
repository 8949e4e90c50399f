import { readGgufHeader, readModelFile } from './checkpoint.ts';
import { CriaError } from './errors.ts';
import { type Estimate, type EstimateOptions, estimateFile } from './estimate.ts';
import type { LlamaConfig, Metadata, ModelFile } from './model-file.ts';
import type { Threads } from './runtime/runtime.ts';
import type { Source } from './source.ts';

/** Both are wanted of a header alone, and are one file of the package. @internal */
export { estimateFile } from './estimate.ts';

/** What a file holds, whether Cria can run it or not. */
export interface FileReport {
  format: ModelFile['format'];
  version: number;
  /** Bytes. */
  size: number;
  metadata: Metadata;
  tensors: {
    name: string;
    /** As the container calls it: Q8_0, Q4_K, F32. */
    dtype: string;
    /** Fastest first, as GGUF has them: columns, rows. */
    dims: number[];
    bytes: number;
    offset: number;
  }[];
  runnable: { config: LlamaConfig; memory: Estimate } | { error: CriaError };
}

interface ReportOptions extends EstimateOptions {
  signal?: AbortSignal | undefined;
}

/** @internal */
export async function report(
  source: Source,
  options: ReportOptions,
  runtime: Threads | undefined,
): Promise<FileReport> {
  const header = await readGgufHeader(source, options.signal);
  const runnable = await plan(source, options, runtime);
  if (!header) {
    // a file of another kind that is no model has nothing to show
    if ('error' in runnable) throw runnable.error;
    const { format, version, metadata, tensors } = runnable.file;
    return {
      format,
      version,
      size: source.size,
      metadata,
      tensors: [...tensors.values()].map(({ name, int8, dtype, rows, cols, bytes, offset }) => ({
        name,
        dtype: int8 ? 'int8' : dtype.toUpperCase(),
        dims: rows === 1 ? [cols] : [cols, rows],
        bytes,
        offset,
      })),
      runnable: { config: runnable.config, memory: runnable.memory },
    };
  }
  return {
    format: 'gguf',
    version: header.version,
    size: source.size,
    metadata: header.metadata,
    tensors: header.tensors.map(({ name, typeName, dims, bytes, offset }) => ({
      name,
      dtype: typeName,
      dims,
      bytes,
      offset,
    })),
    runnable: 'error' in runnable ? runnable : { config: runnable.config, memory: runnable.memory },
  };
}

async function plan(source: Source, { signal, ...options }: ReportOptions, runtime: Threads | undefined) {
  try {
    const file = await readModelFile(source, signal);
    await file.source?.close();
    return { file, config: file.config, memory: estimateFile(file, file.source ?? source, options, runtime) };
  } catch (error) {
    if (error instanceof CriaError) return { error };
    throw error;
  }
}
