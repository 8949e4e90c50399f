// `open` finds the GPU through the installed package cria-cuda, or says why not: programs in a folder where both packages
// lie as npm would put them.

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAddon, buildMock, buildMockLibrary, PLUGIN } from '../gpu-plugin/build.ts';
import { generatedStories } from './support/generated-text.ts';
import { canBuildMock } from './support/gpu.ts';
import { projectRoot } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const test = suite('open on a GPU');
const app = mkdtempSync(join(tmpdir(), 'cria-app-'));
const modules = join(app, 'node_modules');

const PROGRAM = `
import { open } from 'cria';
const backend = process.argv[2];
const gpus = process.env.GPUS && Number(process.env.GPUS);
for (let i = 0; i < 2; i++) {
  try {
    const model = await open('tiny.gguf', { backend, ...(gpus && { gpus }), ...(process.argv[3] && { threads: Number(process.argv[3]) }) });
    const { ids } = (await model.generateBatch([[1, 7, 9]], { temperature: 0, maxTokens: 12 }))[0];
    console.log(JSON.stringify({ backend: model.info.backend, ids }));
    await model.close();
  } catch (error) {
    console.log(JSON.stringify({ code: error.code, message: error.message }));
  }
}
`;

interface Line {
  backend?: string;
  ids?: number[];
  code?: string;
  message?: string;
}

/** NVIDIA's own libraries want NVIDIA's driver. */
const NONE = { CRIA_CUBLASLT: 'none', CRIA_NCCL: 'none' };

/** Runs the program. @param driver where libcuda.so.1 lies, if anywhere */
function run(
  args: string[],
  driver = '',
  variables: NodeJS.ProcessEnv = {},
): { lines: Line[]; warnings: string } {
  const env = { ...process.env, ...NONE, LD_LIBRARY_PATH: driver, ...variables };
  const { stdout, stderr, status } = spawnSync(process.execPath, ['app.mjs', ...args], {
    cwd: app,
    env,
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
  return {
    lines: stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
    warnings: stderr,
  };
}

const SHAPE = '--dim 24 --n-layers 2 --n-heads 4 --n-kv-heads 2 --context-length 16 --sequences 2';
const PLAN = '--steps 6 --micro-batches 2 --sample-every 6 --sample-tokens 5 --checkpoint-every 3';
const TRAIN = `train --data text.txt --tokenizer tok.gguf ${SHAPE} ${PLAN}`;

/** Runs the command to an exit code; what it says. */
function cria(args: string, driver = '', code = 0, variables: NodeJS.ProcessEnv = {}): string {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(modules, 'cria/dist/lib/cli.js'), ...args.split(' ')],
    { cwd: app, env: { ...process.env, ...NONE, LD_LIBRARY_PATH: driver, ...variables }, encoding: 'utf8' },
  );
  assert.is(status, code, stderr);
  return stderr;
}

function makeTexts(): void {
  writeFileSync(join(app, 'text.txt'), generatedStories(30).join('<|endoftext|>'));
  cria('tokenizer train text.txt --vocab-size 320 --out tok.gguf');
}

function installCria(): void {
  mkdirSync(join(modules, 'cria/dist'), { recursive: true });
  copyFileSync(join(projectRoot, 'package.json'), join(modules, 'cria/package.json'));
  cpSync(join(projectRoot, 'dist/lib'), join(modules, 'cria/dist/lib'), { recursive: true });
  writeFileSync(join(app, 'tiny.gguf'), tinyModel({ dtype: 'Q8_0' }));
  writeFileSync(join(app, 'app.mjs'), PROGRAM);
}

function installPlugin(): void {
  const to = join(modules, 'cria-cuda');
  mkdirSync(join(to, 'dist/linux-x64'), { recursive: true });
  copyFileSync(join(PLUGIN, 'package.json'), join(to, 'package.json'));
  for (const name of ['index.js', 'signatures.js'])
    copyFileSync(join(projectRoot, 'dist/gpu-plugin', name), join(to, 'dist', name));
  copyFileSync(buildAddon(), join(to, 'dist/linux-x64/cria-cuda.node'));
  writeFileSync(join(to, 'dist/kernels.fatbin'), 'for the mock');
}

if (canBuildMock('open on a GPU')) {
  installCria();

  test("without the package 'auto' computes on the CPU and is silent, 'cuda' says what to install", () => {
    const auto = run(['auto']);
    assert.is(auto.lines[0]!.backend, 'wasm');
    assert.is(auto.warnings, '');
    const cuda = run(['cuda']);
    assert.is(cuda.lines[0]!.code, 'gpu-unavailable');
    assert.match(cuda.lines[0]!.message!, /npm install cria-cuda/);
    makeTexts();
    assert.match(cria(`${TRAIN} --out none --backend cuda`, '', 1), /npm install cria-cuda/);
  });

  test("with the package and no driver 'auto' warns once, 'cuda' says what is missing", () => {
    installPlugin();
    const auto = run(['auto']);
    assert.equal(
      auto.lines.map(line => line.backend),
      ['wasm', 'wasm'],
    );
    assert.is(auto.warnings.split('cria computes on the CPU').length, 2, auto.warnings);
    assert.match(
      auto.warnings,
      /libcuda\.so\.1: expected the NVIDIA driver, got .*cannot open shared object/,
    );
    assert.is(run(['wasm']).warnings, '');
    const cuda = run(['cuda']);
    assert.is(cuda.lines[0]!.code, 'gpu-unavailable');
    assert.match(cuda.lines[0]!.message!, /nvidia-smi/);
  });

  test('with a driver both take the GPU, and it writes what the CPU writes', () => {
    const driver = dirname(buildMock());
    const cpu = run(['wasm', '0']).lines[0]!;
    for (const backend of ['auto', 'cuda']) {
      const { lines, warnings } = run([backend], driver);
      assert.equal(
        lines.map(line => line.backend),
        ['cuda', 'cuda'],
        warnings,
      );
      assert.equal(lines[0]!.ids, cpu.ids);
      assert.is(warnings, '');
    }
    // threads are the CPU's
    assert.is(run(['auto', '1'], driver).lines[0]!.backend, 'wasm');
  });

  test('several GPUs write what one does, and it is said what keeps them from it', () => {
    const library = buildMock();
    const driver = dirname(library);
    const two = { CRIA_MOCK_DEVICES: '2', GPUS: '2' };
    const whole = { ...two, CRIA_NCCL: buildMockLibrary('nccl', library) };
    const { lines } = run(['cuda'], driver, whole);
    assert.equal(lines[1], run(['cuda'], driver).lines[0]);
    const none = run(['cuda'], driver, two).lines[0]!;
    assert.is(none.code, 'gpu-unavailable');
    assert.match(none.message!, /NCCL: expected NCCL 2, .* CRIA_NCCL/);
    assert.match(run(['cuda'], driver, { ...whole, GPUS: '3' }).lines[0]!.message!, /2 devices, asked/);
    assert.is(run(['wasm'], driver, whole).lines[0]!.code, 'option-range');
    const generate = 'run tiny.gguf a --max-tokens 3 --gpus 2';
    assert.match(cria(`${generate} --backend cuda --verbose`, driver, 0, whole), /decode .* 3 tokens/);
    assert.match(cria(`${generate} --backend wasm`, driver, 1, whole), /gpus/);
  });

  test('cria train learns there what it learns on the CPU, and goes on with checkpoints of either', () => {
    const driver = dirname(buildMock());
    for (const backend of ['wasm', 'cuda']) cria(`${TRAIN} --out ${backend} --backend ${backend}`, driver);
    cria(`${TRAIN} --out there --until 3`);
    cria(`${TRAIN} --out there --backend cuda --resume`, driver);
    cria(`${TRAIN} --out back --backend cuda --until 3`, driver);
    cria(`${TRAIN} --out back --resume`);
    const losses = (run: string) =>
      readFileSync(join(app, run, 'log.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
        .filter(({ kind, step }) => kind === 'step' || (kind === 'validation' && step === 6))
        .map(({ loss }) => loss as number);
    const expected = losses('wasm');
    assert.is(expected.length, 7);
    for (const run of ['cuda', 'there', 'back']) {
      for (const [i, loss] of losses(run).entries()) {
        assert.ok(Math.abs(loss - expected[i]!) < 1e-5 * expected[i]!, `${run}: ${loss}, ${expected[i]}`);
      }
    }
    cria(`${TRAIN} --out narrow --backend cuda --precision bf16`, driver);
    cria(`${TRAIN} --out on --backend cuda --until 3`, driver);
    cria(`${TRAIN} --out on --backend cuda --precision bf16 --resume`, driver);
    for (const run of ['narrow', 'on']) {
      assert.match(readFileSync(join(app, run, 'log.jsonl'), 'utf8'), /"precision":"bf16"/);
      for (const [i, loss] of losses(run).entries()) {
        assert.ok(Math.abs(loss - expected[i]!) < 1e-2 * expected[i]!, `${run}: ${loss}, ${expected[i]}`);
      }
    }
    assert.match(cria(`${TRAIN} --out no --precision bf16`, '', 2), /precision: expected f32 .* got bf16/);
    assert.match(
      cria(`${TRAIN} --out two --backend cuda --ranks 2`, driver, 2),
      /ranks: expected 1 .* got 2/,
    );
  });

  test.after(() => rmSync(app, { recursive: true }));
}

test.run();
