// AWS Lambda on Node with response streaming (a function URL whose invoke mode is RESPONSE_STREAM); the model is in the
// package, in a layer or on EFS.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { open } from 'cria';

// while the function starts, which is not billed by time of request
const model = await open(process.env.MODEL ?? 'model.gguf');

export const handler = awslambda.streamifyResponse(async (event, responseStream) => {
  const prompt = event.queryStringParameters?.prompt ?? 'Once upon a time';
  const out = awslambda.HttpResponseStream.from(responseStream, {
    statusCode: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  });
  await pipeline(Readable.from(model.generate(prompt, { maxTokens: 200, seed: 1 })), out);
});
