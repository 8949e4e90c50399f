// The packed package: how large, whether two builds are the same bytes, what the judges of packages say, and whether it
// runs for a user who installs it without scripts. Tools come from test/package/package.json.
//
//     npm run test:package

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { inFolder, install, output, pack } from '../support/packed.ts';
import { projectRoot } from '../support/shared.ts';
import { Steps } from '../support/steps.ts';
import { tinyModel } from '../support/tiny-model.ts';

/** Limits in kB of 1000 bytes. */
const PACKED_KB = 250;
const WORKER_KB = 60;

const tools = join(projectRoot, 'test', 'package');
const tool = (name: string) => join(tools, 'node_modules', '.bin', name);
const tsc = join(projectRoot, 'node_modules', '.bin', 'tsc');
const model = tinyModel();
const steps = new Steps();

const kb = (bytes: number) => (bytes / 1000).toFixed(1);

function within(bytes: number, limitKb: number): string {
  assert.ok(bytes <= limitKb * 1000, `${kb(bytes)} kB, more than ${limitKb}`);
  return `${kb(bytes)} kB of at most ${limitKb}`;
}

/** The JavaScript that esbuild makes of a Worker that uses all of an entry. */
function bundled(folder: string, entry: string): string {
  const worker = join(folder, 'worker.js');
  const out = join(folder, 'out');
  writeFileSync(worker, `export * from '${entry}';\n`);
  output(
    tool('esbuild'),
    [
      ...[worker, '--bundle', '--minify', '--format=esm', '--conditions=workerd,worker,browser'],
      ...['--loader:.wasm=copy', `--outdir=${out}`],
    ],
    folder,
  );
  const code = readFileSync(join(out, 'worker.js'), 'utf8');
  for (const word of ['node:', 'new Worker', 'SharedArrayBuffer(']) {
    assert.not.ok(code.includes(word), `${entry} brings ${word}`);
  }
  return code;
}

/** A user's program, which has no types but the standard library's. */
const CONSUMER = `
import { type Completion, CriaError, type Model, open, quantize } from 'cria';
import { createCria } from 'cria/core';

export async function main(module: WebAssembly.Module): Promise<string> {
  const model: Model = await open(new Uint8Array(4), { threads: 0 });
  const tokens = model.tokens('a', { maxTokens: 1 });
  const { value } = await tokens.next();
  const completion = value as Completion;
  if (completion instanceof CriaError) throw completion;
  const other = await createCria({ simd: module }).open(new ArrayBuffer(4));
  // @ts-expect-error: no such option
  other.generate('a', { nonsense: 1 });
  // @ts-expect-error: a sink and options are missing
  await quantize('a');
  return completion.done;
}
`;

const RUN = `
import { readFileSync } from 'node:fs';
import * as cria from 'cria';
import { createCria } from 'cria/core';
const path = 'tiny.gguf';
const text = async model => {
  let text = '';
  for await (const piece of model.generate('the', { seed: 7, maxTokens: 16 })) text += piece;
  await model.close();
  return text;
};
const wasm = name => WebAssembly.compile(readFileSync('node_modules/cria/dist/wasm/' + name + '.wasm'));
const core = createCria({ simd: await wasm('simd') });
const texts = [
  await text(await cria.open(path)),
  await text(await cria.open(path, { threads: 0 })),
  await text(await core.open(readFileSync(path))),
];
if (new Set(texts).size !== 1) throw new Error(JSON.stringify(texts));
try {
  await core.open(path);
  throw new Error('core opened a path');
} catch (error) {
  if (error.code !== 'unsupported-runtime') throw error;
}
console.log(JSON.stringify(texts[0]));
`;

output('npm', ['ci', '--ignore-scripts', '--prefix', tools], projectRoot);

await inFolder(async folder => {
  const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
  const first = pack(join(folder, 'first'), 'built');

  await steps.run('two builds pack to the same bytes', () => {
    for (const made of ['host', 'lib', 'wasm']) rmSync(join(projectRoot, 'dist', made), { recursive: true });
    assert.is(sha256(pack(join(folder, 'second'), 'build')), sha256(first));
    return undefined;
  });

  await steps.run('npm pack, besides the model that ships', () => {
    const shipped = ['stories.gguf', 'README.md'].reduce((sum, name) => {
      const file = readFileSync(join(projectRoot, 'models', name));
      return sum + gzipSync(file, { level: 9 }).length;
    }, 0);
    return within(readFileSync(first).length - shipped, PACKED_KB);
  });

  const user = join(folder, 'user');
  await steps.run('installs without scripts, dependencies or a network', () => {
    install(first, user);
    assert.equal(
      readdirSync(join(user, 'node_modules')).filter(name => !name.startsWith('.')),
      ['cria'],
    );
    return undefined;
  });

  await steps.run('runs as installed', () => {
    writeFileSync(join(user, 'tiny.gguf'), model);
    writeFileSync(join(user, 'run.js'), RUN);
    return output(process.execPath, ['run.js'], user).trim();
  });

  await steps.run('brings its command', () => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
      version: string;
    };
    const said = output(join(user, 'node_modules', '.bin', 'cria'), ['--version'], user).trim();
    assert.ok(said.includes(version), said);
    return said;
  });

  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    await steps.run(`types are complete by themselves (${resolution})`, () => {
      writeFileSync(join(user, 'consumer.ts'), CONSUMER);
      const args = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        'false',
        '--target',
        'es2022',
        '--lib',
        'es2023,dom',
      ];
      args.push('--types', '', '--module', module!, '--moduleResolution', resolution!, 'consumer.ts');
      return output(tsc, args, user).trim();
    });
  }

  for (const entry of ['cria', 'cria/core']) {
    await steps.run(`${entry} as a Worker, gzipped, besides wasm`, () =>
      within(gzipSync(bundled(user, entry), { level: 9 }).length, WORKER_KB),
    );
  }

  await steps.run('publint', () => {
    const said = output(tool('publint'), ['run', first, '--strict'], folder).trim();
    assert.not.match(said, /Suggestions|Warnings|Errors/);
    return said.split('\n').at(-1);
  });

  // fails by its exit code
  await steps.run('are the types wrong', () => {
    output(tool('attw'), [first, '--profile', 'esm-only', '--exclude-entrypoints', './wasm/*'], folder);
    return undefined;
  });
});
steps.end();
