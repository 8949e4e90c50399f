// Runs cria.wasm under node:wasi, which Node, Deno and Bun have: WASM FOLDER ARGUMENTS…; the command sees FOLDER as `.`.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { WASI } from 'node:wasi';

const [wasm, folder, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: 'preview1',
  args: ['cria.wasm', ...args],
  env: process.env,
  preopens: { '.': folder },
  returnOnExit: true,
});
const module = await WebAssembly.compile(readFileSync(wasm));
// Through functions of JavaScript: called straight from WebAssembly, those of Node 20 and 22 crash the process once a model
// of some size has been loaded (Node 24 does not). Bun has no getImportObject().
const imports = Object.entries(wasi.wasiImport).map(([name, call]) => [name, (...args) => call(...args)]);
const instance = await WebAssembly.instantiate(module, {
  wasi_snapshot_preview1: Object.fromEntries(imports),
});
process.exitCode = wasi.start(instance) ?? 0;
