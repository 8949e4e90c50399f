// node node.js, then curl -N 'localhost:8000/?prompt=Once upon a time'

import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { open } from 'cria';

const model = await open(process.env.MODEL ?? 'model.gguf');

const server = createServer(async (request, response) => {
  const { searchParams } = new URL(request.url, 'http://localhost');
  const prompt = searchParams.get('prompt') ?? 'Once upon a time';
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  // whoever leaves early ends the pipeline, and with it the generation
  const text = Readable.from(model.generate(prompt, { maxTokens: 200, seed: 1 }));
  await pipeline(text, response).catch(error => console.error(error.message));
});
server.listen(process.env.PORT ?? 8000);
