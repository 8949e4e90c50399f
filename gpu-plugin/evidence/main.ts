// npm run gpu:evidence: what can be said of the kernels' speed where there is no GPU, into docs/gpu-evidence.md. Builds the kernels:
// nvcc must be there.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DType } from '../../host/dtype.ts';
import { buildKernels, OUT, PLUGIN } from '../build.ts';
import { kernelsHash } from '../hash.ts';
import { mixesOf, resourcesOf } from './code.ts';
import { type Code, mixTable, resourceTable, workTable } from './report.ts';
import { type Counted, decodeTrace, LLAMA_7B, promptTrace } from './trace.ts';

export const EVIDENCE: string = join(dirname(PLUGIN), 'docs', 'gpu-evidence.md');

/** Sources on which the launches depend, beside the kernels. */
const HOST = [
  'composed.ts',
  'cuda.ts',
  'cuda-gemm.ts',
  'cuda-kernels.ts',
  'cuda-memory.ts',
  'llama.ts',
  'local-runner.ts',
  'sampler.ts',
];

const DECODED: DType[] = ['f16', 'q8_0', 'q4_0'];
const PROMPTS: DType[] = ['f16', 'q4_0'];
/** Not where angles are computed ahead, as they are every 128 tokens. */
const CONTEXT = 500;
const PROMPT = 2048;

/** Of all that the evidence follows from, but for compilers. */
export function sourcesHash(): string {
  const hash = createHash('sha256').update(kernelsHash(join(PLUGIN, 'kernels')));
  for (const name of HOST) hash.update(readFileSync(join(dirname(PLUGIN), 'host', name)));
  return hash.digest('hex');
}

/** The page, of what was built last. */
export async function evidence(): Promise<string> {
  const code: Code = {
    resources: resourcesOf(readFileSync(join(OUT, 'ptxas.log'), 'utf8')),
    mixes: mixesOf(readFileSync(join(OUT, 'kernels.ptx'), 'utf8')),
  };
  const sections: string[] = [];
  const all: Counted[] = [];
  for (const dtype of DECODED) {
    const launches = await decodeTrace(LLAMA_7B, dtype, CONTEXT);
    all.push(...launches);
    const title = `## A token of ${dtype.toUpperCase()} behind ${CONTEXT} others, and the draw of the next`;
    sections.push(`${title}\n\n${workTable(launches, code, 1)}`);
  }
  for (const dtype of PROMPTS) {
    const launches = await promptTrace(LLAMA_7B, dtype, PROMPT);
    all.push(...launches);
    const title = `## A prompt of ${PROMPT} tokens, ${dtype.toUpperCase()}, and the logits of its last`;
    sections.push(`${title}\n\n${workTable(launches, code, PROMPT)}`);
  }
  const names = [...new Set(all.map(({ name }) => name))].sort();
  return `# The CUDA kernels without a GPU

What follows from the sources and the compilers alone, for Llama 2 7B with a cache of f16; made by \`npm run gpu:evidence\`, and no
measurement. The launches are those of the backend on a device that runs nothing (gpu-plugin/evidence). Bytes are what a kernel must
move, each number once, whatever caches make of it, in MB of 10⁶; FLOPs are those of products. The time of a launch is the longer of
its bytes at the memory's bandwidth and its products at the peak of the best unit that the kernel's code has (\`by\`), by the data
sheets: A100-80 2,039 GB/s, tensor cores 312 TFLOP/s in bf16, f32 19.5; H100 SXM 3,350 GB/s, 989 and 66.9; dp4a at the rate of integer
products. So times are least ones: latency, launches and what is read twice are not in them.

Sources: \`${sourcesHash()}\`

${sections.join('\n\n')}

## Registers, shared memory and how many blocks a multiprocessor holds

Shared memory in bytes. Blocks by the limits that the CUDA C++ Programming Guide lists, as cuda_occupancy.h counts them.

${resourceTable(all, code)}

## Instructions

As they stand in the PTX, not as often as they run; loads of global memory by their bytes.

${mixTable(names, code)}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildKernels();
  writeFileSync(EVIDENCE, await evidence());
}
