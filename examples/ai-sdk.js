// The AI SDK (npm i ai), versions 6 and 7: node ai-sdk.js

import { streamText } from 'ai';
import { open } from 'cria';
import { languageModel } from 'cria/ai';

const model = languageModel(await open(process.env.MODEL ?? 'model.gguf'), { format: 'text' });

const { textStream, usage } = streamText({
  model,
  prompt: 'Once upon a time',
  maxOutputTokens: 200,
  seed: 1,
});
for await (const text of textStream) process.stdout.write(text);
console.error(`\n${(await usage).outputTokens} tokens`);
