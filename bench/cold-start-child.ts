// What cold-start.ts starts: MODE MODEL PROMPT. `whole` prints the first token through the public API; `parts` does what
// `open` does, one step after the other, and prints the milliseconds of each as JSON.
const begun = performance.now();

const [mode, path, prompt] = process.argv.slice(2) as [string, string, string];
const host = await import('cria');
const imported = performance.now();

async function whole(): Promise<void> {
  const model = await host.open(path);
  for await (const { piece } of model.tokens(prompt, { temperature: 0, maxTokens: 1 })) {
    process.stdout.write(piece);
  }
}

async function parts(): Promise<void> {
  // all loaded already by the import of the package
  const { runtime } = await import('../host/runtime/node.ts');
  const { readGgufHeader } = await import('../host/checkpoint.ts');
  const { modelFromGguf } = await import('../host/llama-file.ts');
  const { Tokenizer } = await import('../host/tokenizer.ts');
  const { Here } = await import('../host/here.ts');
  const { buildModel } = await import('../host/build-model.ts');
  const figures: Record<string, number> = { 'process start': begun, imports: imported - begun };
  let last = performance.now();
  const lap = (name: string): void => {
    const now = performance.now();
    figures[name] = now - last;
    last = now;
  };

  const place = Here.wasm(await runtime.kernels());
  lap('kernels: decode, compile');
  const source = await runtime.names.open(path);
  const header = await readGgufHeader(source);
  if (!header) throw new Error(`${path}: expected a GGUF file`);
  lap('header: read, parse');
  const file = modelFromGguf(header, source.size, source.name);
  lap('model and vocabulary: check');
  const tokenizer = new Tokenizer(file.vocabulary!);
  lap('tokenizer');
  const model = await buildModel(place, file, source, tokenizer, begun, {});
  lap('weights: read, lay out');
  const ids = tokenizer.encode(prompt);
  lap('encode the prompt');
  for await (const _ of model.tokens(ids, { temperature: 0, maxTokens: 1 }));
  lap('first forward');
  figures['sum'] = Object.values(figures).reduce((sum, ms) => sum + ms);
  console.log(JSON.stringify(figures));
}

await (mode === 'whole' ? whole() : parts());
