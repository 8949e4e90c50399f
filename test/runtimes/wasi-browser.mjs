// Runs cria.wasm under @bjorn3/browser_wasi_shim, as a page does, whose files are bytes: WASM FOLDER ARGUMENTS…

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConsoleStdout, File, OpenFile, PreopenDirectory, WASI } from '@bjorn3/browser_wasi_shim';

const [wasm, folder, ...args] = process.argv.slice(2);
const files = readdirSync(folder).map(name => [name, new File(readFileSync(join(folder, name)))]);
const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
const wasi = new WASI(
  ['cria.wasm', ...args],
  env,
  [
    new OpenFile(new File(new Uint8Array())),
    new ConsoleStdout(bytes => process.stdout.write(bytes.slice())),
    new ConsoleStdout(bytes => process.stderr.write(bytes.slice())),
    new PreopenDirectory('.', new Map(files)),
  ],
  { debug: false },
);
const module = await WebAssembly.compile(readFileSync(wasm));
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
