import { open } from 'cria';
import { criaVersion } from './paths.ts';
import { type Engine, type Task, timeTokens } from './protocol.ts';
import { BOS, CONTEXT, EOS } from './synthetic.ts';

/** Cria under this Node, through its public API. */
export async function startCria(task: Task, backend: 'wasm' | 'reference'): Promise<Engine> {
  const model = await open(task.path, { contextLength: CONTEXT, backend, threads: task.threads });
  async function* ids(prompt: number[], maxTokens: number): AsyncGenerator<number> {
    const logitBias = { [BOS]: -100, [EOS]: -100 }; // they would end the generation
    for await (const { id } of model.tokens(prompt, { temperature: 0, maxTokens, logitBias })) yield id;
  }
  return {
    version: criaVersion(),
    generate: (prompt, n) => timeTokens(performance.now(), ids(prompt.ids, n), n),
  };
}
