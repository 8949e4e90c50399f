// The command for WASI under node:wasi, which Node, Deno and Bun have: node wasi.js model.gguf 'Once upon a time'. It sees
// the current folder.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { WASI } from 'node:wasi';

const wasi = new WASI({
  version: 'preview1',
  args: ['cria.wasm', ...process.argv.slice(2), '--max-tokens', '200', '--seed', '1'],
  preopens: { '.': '.' },
});
const command = fileURLToPath(import.meta.resolve('cria/wasm/cria.wasm'));
const module = await WebAssembly.compile(await readFile(command));
// as closures, which Node 20 and 22 need; later ones take wasi.getImportObject()
const imports = Object.entries(wasi.wasiImport).map(([name, call]) => [name, (...args) => call(...args)]);
const instance = await WebAssembly.instantiate(module, {
  wasi_snapshot_preview1: Object.fromEntries(imports),
});
process.exitCode = wasi.start(instance) ?? 0;
