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
// Bun has no getImportObject()
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance) ?? 0;
