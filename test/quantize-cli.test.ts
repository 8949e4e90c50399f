import {
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inspect } from '../host/index.ts';
import { cria, start } from './support/cli.ts';
import { tinyModel } from './support/tiny-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-quantize-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const put = (name: string, content: string | Uint8Array) => {
  writeFileSync(path(name), content);
  return path(name);
};
const MODEL = put('model.gguf', tinyModel({ dim: 256, hiddenDim: 288, nLayers: 1 }));

/** Whatever a run leaves behind that was not there before it. */
async function leavesNothing(run: () => Promise<void>): Promise<void> {
  const before = readdirSync(folder).sort();
  await run();
  assert.equal(readdirSync(folder).sort(), before);
}

test('quantize writes the file and says what became of it', async () => {
  const { code, stdout, stderr } = await cria(['quantize', MODEL, path('q4.gguf'), '--type', 'Q4_K_M']);
  assert.is(stderr, '');
  assert.is(code, 0);
  assert.match(
    stdout,
    /^blk\.0\.ffn_down\.weight: Q8_0 instead of Q6_K, whose blocks do not divide rows of 288\n/,
  );
  assert.match(stdout, /\n +Q4_K +6 tensors +\d/);
  assert.match(stdout, /MiB -> .* KiB, \d\.\d\d bits a weight\n$/);
  const types = (await inspect(path('q4.gguf'))).tensors.map(({ dtype }) => dtype);
  assert.equal([...new Set(types)].sort(), ['F32', 'Q4_K', 'Q6_K', 'Q8_0']);
});

test('--json says the same to a program, and --pure has one type', async () => {
  const args = ['quantize', MODEL, path('q5.gguf'), '--type', 'Q5_1', '--pure', '--json'];
  const { code, stdout } = await cria(args);
  assert.is(code, 0);
  const { tensors, bytes } = JSON.parse(stdout);
  assert.equal(bytes, { from: readFileSync(MODEL).length, to: readFileSync(path('q5.gguf')).length });
  assert.equal([...new Set(tensors.map(({ to }: { to: string }) => to))].sort(), ['F32', 'Q5_1']);
});

test('an existing file is replaced, through a link too', async () => {
  const old = put('old.gguf', 'old');
  symlinkSync(old, path('link.gguf'));
  assert.is((await cria(['quantize', MODEL, path('link.gguf'), '--type', 'Q8_0'])).code, 0);
  assert.is((await inspect(old)).format, 'gguf');
  assert.ok(
    readdirSync(folder, { withFileTypes: true })
      .find(({ name }) => name === 'link.gguf')!
      .isSymbolicLink(),
  );
});

test('the file that is read is not written, whatever its name', async () => {
  linkSync(MODEL, path('hard.gguf'));
  symlinkSync(MODEL, path('soft.gguf'));
  const before = readFileSync(MODEL);
  for (const out of [MODEL, path('hard.gguf'), path('soft.gguf'), join(folder, '.', 'model.gguf')]) {
    await leavesNothing(async () => {
      const { code, stderr } = await cria(['quantize', MODEL, out, '--type', 'Q8_0']);
      assert.is(code, 1);
      assert.match(stderr, /the file that is read/);
    });
  }
  assert.equal(readFileSync(MODEL), before);
});

test('what fails leaves the old file and no other', async () => {
  const out = put('kept.gguf', 'kept');
  const damaged = put('damaged.gguf', readFileSync(MODEL));
  const file = readFileSync(damaged);
  file.fill(0xff, file.length - 40); // NaN at the end of the last tensor: found when most is written
  writeFileSync(damaged, file);
  const cases: [args: string[], said: RegExp][] = [
    [[damaged, out, '--type', 'Q8_0'], /finite numbers/],
    [[path('none.gguf'), out, '--type', 'Q8_0'], /no such file/],
    [[put('text.gguf', 'no model'), out, '--type', 'Q8_0'], /a GGUF file/],
    [[MODEL, folder, '--type', 'Q8_0'], /a folder/],
    [[MODEL, path('no/such/folder.gguf'), '--type', 'Q8_0'], /ENOENT/],
  ];
  for (const [args, said] of cases) {
    await leavesNothing(async () => {
      const { code, stdout, stderr } = await cria(['quantize', ...args]);
      assert.equal([code, stdout], [1, ''], stderr);
      assert.match(stderr, said);
    });
    assert.is(readFileSync(out, 'utf8'), 'kept');
  }
});

test('wrong usage', async () => {
  for (const [args, said] of [
    [[MODEL], /OUT is missing/],
    [[MODEL, path('x')], /--type is missing/],
    [[MODEL, path('x'), '--type', 'Q4_K'], /--type: expected F32 or .*Q4_K_M/],
  ] as const) {
    const { code, stderr } = await cria(['quantize', ...args]);
    assert.is(code, 2);
    assert.match(stderr, said);
  }
});

test('Ctrl-C leaves the old file and no other', async () => {
  const large = put('large.gguf', tinyModel({ dim: 512, hiddenDim: 1024, nLayers: 4 }));
  const out = put('interrupted.gguf', 'kept');
  await leavesNothing(async () => {
    const { child, ended } = start(['quantize', large, out, '--type', 'Q6_K']);
    while (!readdirSync(folder).some(name => name.endsWith('.tmp'))) {
      assert.is(child.exitCode, null, 'it was done before it was interrupted');
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    assert.equal([code, stdout, stderr], [130, '', '']);
  });
  assert.is(readFileSync(out, 'utf8'), 'kept');
});

test.run();
