// What tsc leaves undone before the package can be packed.

import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transformSync } from 'esbuild';

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

// a fifth of the package's size; a debugger shows the sources of a clone through `tsc` alone
for (const path of built) {
  if (!path.endsWith('.js') || path.endsWith('/kernels.js') || !existsSync(path)) continue;
  const { code } = transformSync(readFileSync(path, 'utf8'), {
    minify: true,
    format: 'esm',
    target: 'es2022',
  });
  writeFileSync(path, code);
}

// tsc does not make the command executable
chmodSync('dist/host/cli/main.js', 0o755);
