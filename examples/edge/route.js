// A route of an edge runtime, which compiles nothing from bytes and has no files: the bundler compiles the kernels, the
// weights come over the network.

import { open } from 'cria';

export const runtime = 'edge';

let opening;

export async function GET(request) {
  const { origin, searchParams } = new URL(request.url);
  const model = await (opening ??= open(`${origin}/model.gguf`, { kvCache: 'f16', memoryLimit: 110e6 }));
  const pieces = model.generate(searchParams.get('prompt') ?? 'Once upon a time', {
    maxTokens: 200,
    seed: 1,
  });
  const text = new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(new TextEncoder().encode(value));
    },
    cancel: () => pieces.return(),
  });
  return new Response(text, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}
