// The file that is taken to a machine with a GPU: unpacked where nothing else is, it runs and writes its record, here on the mock driver.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildMock, compiler, missingTool, PLUGIN } from '../gpu-plugin/build.ts';
import { kernelsHash } from '../gpu-plugin/hash.ts';
import { projectRoot } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const script = (name: string) => join(projectRoot, 'dist', 'gpu-plugin', name);
const missing = process.env['CRIA_FULL']
  ? (missingTool() ?? (compiler('nvcc') ? undefined : 'no nvcc'))
  : 'npm run test:full';

if (missing) console.log(`skipped: the file for a machine with a GPU (${missing})`);
else {
  test('it is small enough, needs nothing, and writes a record', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-pack-'));
    try {
      execFileSync(process.execPath, [script('build.js')]);
      const file = join(folder, 'gpu.tar.gz');
      execFileSync(process.execPath, [script('pack.js'), file], { cwd: projectRoot });
      execFileSync('tar', ['-xzf', file, '-C', folder]);
      const env = { PATH: '/usr/bin:/bin', LD_LIBRARY_PATH: dirname(buildMock()) };
      const { status, stdout } = spawnSync('sh', ['run.sh', '--tests', 'sampler', '--bench', 'none'], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      assert.is(status, 0, stdout);
      const record = JSON.parse(readFileSync(join(folder, 'record.json'), 'utf8'));
      assert.is(record.kernelsSha256, kernelsHash(join(PLUGIN, 'kernels')));
      const [{ passed, of }] = record.tests;
      assert.ok(passed === of && of > 3, `${passed} of ${of}`);
      for (const name of ['bench/gpu/pytorch.py', 'test/support/hugging-face.py'])
        assert.ok(existsSync(join(folder, name)), name);
      // and the benchmark's way in
      const help = execFileSync('./node', ['dist/bench/gpu/main.js', '--help'], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      assert.match(help, /--only A,B +of pytorch, kernels, inference, training/);
      writeFileSync(join(folder, 'tiny.gguf'), tinyModel());
      const program =
        "import { open } from 'cria'; console.log((await open('tiny.gguf', { backend: 'cuda' })).info.backend)";
      const opened = execFileSync('./node', ['--input-type=module', '-e', `${program}; process.exit()`], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      assert.is(opened, 'cuda\n');
      // without a driver it fails, and says so
      const alone = spawnSync('sh', ['run.sh', '--tests', 'sampler', '--bench', 'none'], {
        cwd: folder,
        env: { PATH: env.PATH },
        encoding: 'utf8',
      });
      assert.is(alone.status, 1);
      assert.match(alone.stdout, /libcuda\.so\.1: expected the NVIDIA driver/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
