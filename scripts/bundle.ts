// Makes dist/lib, the code of the package, of the modules in dist/host: fewer and smaller files are faster to load and to
// send. Tests run on dist/host, and on dist/lib as a package that is packed and installed.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { type MinifyOptions, minify } from 'terser';

const SMALLER = '.cache/smaller';
const TERSER: MinifyOptions = {
  module: true,
  ecma: 2020,
  compress: { passes: 4, unsafe_arrows: true, unsafe_methods: true },
  // an error that nobody catches is shown with its line
  format: { max_line_len: 8000 },
};
const { version: terser } = JSON.parse(readFileSync('node_modules/terser/package.json', 'utf8')) as {
  version: string;
};

/** By their names in dist/lib, where all lie beside each other, since a thread's program is found beside what starts it. */
const ENTRIES = {
  index: 'index',
  browser: 'entries/browser',
  workerd: 'entries/workerd',
  'edge-light': 'entries/edge-light',
  core: 'entries/core',
  ai: 'entries/ai',
  sources: 'sources/index',
  'sources-web': 'entries/sources',
  train: 'train/index',
  'train-web': 'entries/train',
  cli: 'cli/main',
  start: 'cli/start',
  'node-worker': 'runtime/node-worker',
  'node-train-worker': 'runtime/node-train-worker',
  'browser-worker': 'runtime/browser-worker',
  'browser-train-worker': 'runtime/browser-train-worker',
};

/** They stay files, for runtimes that compile nothing from bytes. */
const wasmFiles: Plugin = {
  name: 'wasm files',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\.wasm(\?module)?$/ }, ({ path }) => ({
      path: `../wasm/${basename(path)}`,
      external: true,
    })),
};

const built = readdirSync('dist/host', { recursive: true, encoding: 'utf8' }).map(name =>
  join('dist/host', name),
);

// what was compiled from files that are gone
for (const path of built) {
  const source = path.replace('dist/', '').replace(/(\.d)?\.[jt]s$/, '');
  const made = path.endsWith('/kernels.js'); // by build-kernels
  if (!made && !existsSync(source) && !existsSync(`${source}.ts`))
    rmSync(path, { recursive: true, force: true });
}

// types that no entry of the package reaches: a sixth of its size
const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, string | { types?: string }>;
};
const entries = Object.values(exports).flatMap(entry =>
  typeof entry === 'string' ? [] : (entry.types ?? []),
);
const reached = new Set(entries.map(entry => join(entry)));
for (const path of reached) {
  for (const [, to] of readFileSync(path, 'utf8').matchAll(/from ['"](\.[^'"]+)\.ts['"]/g)) {
    reached.add(join(dirname(path), `${to}.d.ts`));
  }
}
for (const path of built) if (path.endsWith('.d.ts') && !reached.has(path)) rmSync(path, { force: true });

const { outputFiles } = await build({
  entryPoints: Object.fromEntries(
    Object.entries(ENTRIES).map(([name, path]) => [name, `dist/host/${path}.js`]),
  ),
  outdir: 'dist/lib',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  external: ['node:*', 'hyparquet'],
  plugins: [wasmFiles],
  write: false,
  logLevel: 'warning',
});

// a chunk's name is repeated in all that import it, and the eight random letters of a hash compress badly
const CHUNK = /(?<=^|\.\/)[\w-]+-[0-9A-Z]{8}\.js\b/g;
/** An import that only says when a chunk runs: no module of ours does anything by being loaded. */
const ORDERING = /^import"\.\/[\w.-]+";|(?<=;)import"\.\/[\w.-]+";/gm;
const files = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
const hashed = [...files.keys()].filter(name => name.match(CHUNK)).sort();
const shortName = new Map(hashed.map((name, i) => [name, `${i}.js`]));
rmSync('dist/lib', { recursive: true, force: true });
mkdirSync('dist/lib');
for (const [name, text] of files) {
  const code = text.replace(CHUNK, found => shortName.get(found) ?? found).replace(ORDERING, '');
  writeFileSync(join('dist/lib', shortName.get(name) ?? name), await smaller(code));
}

/** What terser makes of a module, 2 % less than esbuild alone; kept, since it takes seconds. */
async function smaller(code: string): Promise<string> {
  const kept = join(
    SMALLER,
    createHash('sha256')
      .update(terser + JSON.stringify(TERSER) + code)
      .digest('hex'),
  );
  if (existsSync(kept)) return readFileSync(kept, 'utf8');
  const { code: made } = await minify(code, TERSER);
  mkdirSync(SMALLER, { recursive: true });
  writeFileSync(`${kept}.new`, made!);
  renameSync(`${kept}.new`, kept);
  return made!;
}

// nothing else makes the command executable
chmodSync('dist/lib/cli.js', 0o755);
