import { open } from 'cria';
import { criaVersion } from '../paths.ts';
import { runContender, timeTokens } from '../protocol.ts';
import { BOS, EOS } from '../synthetic.ts';

await runContender(async task => {
  const model = await open(task.path, { contextLength: 1024 });
  async function* ids(prompt: number[], maxTokens: number): AsyncGenerator<number> {
    const logitBias = { [BOS]: -100, [EOS]: -100 };
    for await (const { id } of model.tokens(prompt, { temperature: 0, maxTokens, logitBias })) yield id;
  }
  return {
    version: criaVersion(),
    generate: (prompt, n) => timeTokens(performance.now(), ids(prompt.ids, n), n),
  };
});
