// A route handler of Next.js on Node (Vercel Functions): app/api/text/route.js. In next.config.js:
//
//     serverExternalPackages: ['cria'], outputFileTracingIncludes: { '/api/text': ['./model.gguf'] }

import { open } from 'cria';

export const runtime = 'nodejs';

let opening;

export async function GET(request) {
  const model = await (opening ??= open(process.env.MODEL ?? 'model.gguf'));
  const prompt = new URL(request.url).searchParams.get('prompt') ?? 'Once upon a time';
  const text = ReadableStream.from(
    model.generate(prompt, { maxTokens: 200, seed: 1, signal: request.signal }),
  );
  return new Response(text.pipeThrough(new TextEncoderStream()), {
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  });
}
