// Models whose ranks run in threads: the same results, typed errors when one dies, nothing left when they end.

import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Model, open } from '../host/index.ts';
import { GOLDEN, GOLDEN_IDS } from './support/golden.ts';
import { hashOf } from './support/numbers.ts';
import { codeOf, idsOf, NEVER_END } from './support/outcomes.ts';
import { projectRoot } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';
import { alive, failing, plan } from './support/watched-threads.ts';

const MODEL = tinyModel({ contextLength: 1024, nHeads: 8 });
const PROMPT = [1, 300, 265, 270, 281];
const HERE = await open(MODEL, { threads: 0 });
const EXPECTED = await idsOf(HERE, PROMPT, { maxTokens: 40 });
const { nll: EXPECTED_NLL } = await HERE.perplexity(GOLDEN_IDS);
await HERE.close();

/** The model works: it gives what it gives in the calling thread. */
async function checkWorks(model: Model): Promise<void> {
  assert.equal(await idsOf(model, PROMPT, { maxTokens: 40 }), EXPECTED);
}

/** A test after which no thread is left. */
function check(name: string, run: () => unknown): void {
  test(name, async () => {
    try {
      await run();
      assert.is(alive.size, 0, 'no thread is left');
    } finally {
      plan.load = task => task;
      plan.most = Number.POSITIVE_INFINITY;
      await Promise.all([...alive].map(thread => thread.terminate()));
    }
  });
}

for (const threads of [0, 1, 2, 3, 9, 'auto'] as const) {
  check(`threads: ${threads}: the same logits, ids and perplexity`, async () => {
    const { hash, options } = GOLDEN[0]!;
    const golden = await open(tinyModel(options), { threads });
    assert.is(golden.info.threads, threads === 'auto' ? alive.size : threads);
    assert.is(hashOf(await golden.logits(GOLDEN_IDS)), hash);
    await golden.close();
    const model = await open(MODEL, { threads });
    await checkWorks(model);
    const { nll } = await model.perplexity(GOLDEN_IDS);
    assert.is(nll, EXPECTED_NLL);
    await model.close();
  });
}

/** Takes some tokens, has something happen, and takes the rest. */
async function interrupted(model: Model, happen: () => unknown): Promise<string> {
  return codeOf(async () => {
    let taken = 0;
    for await (const _ of model.tokens(PROMPT, NEVER_END)) if (++taken === 3) await happen();
  });
}

for (const threads of [1, 2, 3]) {
  for (let rank = 0; rank < threads; rank++) {
    check(`rank ${rank} of ${threads} dies: typed errors, nothing left, the next open works`, async () => {
      const model = await open(MODEL, { threads });
      const waiting = codeOf(() => model.logits([1, 2, 3]).then(() => model.logits(PROMPT)));
      const code = await interrupted(model, () => [...alive][rank]!.terminate());
      assert.is(code, 'thread-died');
      assert.is(await waiting, 'thread-died');
      assert.is(await codeOf(() => model.logits([1])), 'thread-died');
      assert.is(await codeOf(() => model.saveCache()), 'thread-died');
      await model.close();
      const next = await open(MODEL, { threads });
      await checkWorks(next);
      await next.close();
    });
  }
}

for (let rank = 0; rank < 3; rank++) {
  check(
    `a kernel fails in rank ${rank} of 3, in the prompt and later: the model ends, and says where`,
    async () => {
      for (const n of [1, 9]) {
        plan.load = task => (task.rank === rank ? { ...task, module: failing('swiglu', n) } : task);
        const model = await open(MODEL, { threads: 3 });
        const error = await idsOf(model, PROMPT).catch(error => error);
        assert.is(error.code, 'thread-died');
        assert.is(error.where, `thread ${rank} of the model`);
        assert.match(error.got, 'unreachable');
        assert.is(await codeOf(() => idsOf(model, PROMPT)), 'thread-died');
        await model.close();
      }
    },
  );
}

check('one rank cannot load its share: the error of the file, whichever rank it is', async () => {
  for (const row of [0, 100, 309]) {
    const damaged = tinyModel({
      edit: (_, tensors) => {
        const output = tensors.at(-1)!.data as Uint8Array;
        output.fill(255, row * 256, row * 256 + 4);
      },
    });
    for (const threads of [0, 1, 2, 5]) {
      assert.is(await codeOf(() => open(damaged, { threads })), 'non-finite-weights');
      assert.is(alive.size, 0);
    }
  }
});

check('a thread dies while it loads; the system has no more threads', async () => {
  plan.load = task => {
    setImmediate(() => [...alive].at(-1)?.terminate());
    return task;
  };
  assert.is(await codeOf(() => open(MODEL, { threads: 2 })), 'thread-died');
  plan.most = 2;
  assert.is(await codeOf(() => open(MODEL, { threads: 3 })), 'thread-died');
  // those that had been started are ended without anybody waiting for it
  while (alive.size > 0) await new Promise(setImmediate);
});

check('what onProgress throws ends open', async () => {
  for (const threads of [0, 1, 3]) {
    const onProgress = () => {
      throw new Error('mine');
    };
    assert.is(await codeOf(() => open(MODEL, { threads, onProgress })), 'Error: mine');
    assert.is(alive.size, 0);
  }
});

/** Lets the event loop turn so often. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

check('an abort at any moment of open ends it with its reason', async () => {
  for (const threads of [0, 1, 2]) {
    for (const count of [0, 1, 2, 5, 20, 100, 400]) {
      const controller = new AbortController();
      const code = codeOf(async () => {
        const model = await open(MODEL, { threads, signal: controller.signal });
        await model.close();
      });
      await turns(count);
      controller.abort(new Error('enough'));
      assert.ok(['Error: enough', 'no error'].includes(await code), `${threads}, ${count}: ${await code}`);
      assert.is(alive.size, 0);
    }
  }
});

check('an abort from within: during the first piece, and the last', async () => {
  for (const threads of [1, 2]) {
    for (const last of [false, true]) {
      const controller = new AbortController();
      const onProgress = ({ loaded, total }: { loaded: number; total: number }) => {
        if (!last || loaded === total) controller.abort(new Error('enough'));
      };
      const code = await codeOf(() => open(MODEL, { threads, signal: controller.signal, onProgress }));
      assert.is(code, 'Error: enough');
      assert.is(alive.size, 0);
    }
  }
});

for (const threads of [0, 1, 2]) {
  check(
    `threads: ${threads}: calls that are aborted, left or abandoned leave the model as it was`,
    async () => {
      const model = await open(MODEL, { threads });
      for (const count of [0, 1, 3, 10, 50]) {
        const controller = new AbortController();
        const { signal } = controller;
        const running = codeOf(() => idsOf(model, GOLDEN_IDS, { signal }));
        await turns(count);
        controller.abort(new Error('enough'));
        assert.is(await running, 'Error: enough');
        for await (const _ of model.tokens(PROMPT, NEVER_END)) break;
        await checkWorks(model);
      }
      await model.close();
    },
  );

  check(`threads: ${threads}: a close ends what runs, rests and waits`, async () => {
    const calls: ((model: Model) => Promise<unknown>)[] = [
      model => idsOf(model, PROMPT),
      model => model.logits(Array(1000).fill(300)),
      model => model.perplexity(Array(1000).fill(300)),
      model => model.generateBatch([PROMPT, PROMPT], NEVER_END),
      model => model.saveCache(),
    ];
    for (const call of calls) {
      const model = await open(MODEL, { threads });
      await idsOf(model, GOLDEN_IDS, { maxTokens: 3 });
      const resting = model.tokens(PROMPT, NEVER_END);
      await resting.next();
      const codes = [codeOf(() => call(model)), codeOf(() => call(model))];
      await model.close();
      assert.is(await codeOf(() => resting.next()), 'closed');
      assert.equal(await Promise.all(codes), ['closed', 'closed']);
      assert.is(await codeOf(() => model.logits([1])), 'closed');

      const busy = await open(MODEL, { threads });
      const running = codeOf(() => call(busy));
      await turns(2);
      await busy.close();
      assert.ok(['closed', 'no error'].includes(await running));
      assert.is(alive.size, 0);
    }
  });

  check(`threads: ${threads}: the caller's event loop turns while tokens are made`, async () => {
    const model = await open(MODEL, { threads });
    let turned = 0;
    let over = false;
    const spin = () => {
      turned++;
      if (!over) setImmediate(spin);
    };
    setImmediate(spin);
    const ids = await idsOf(model, PROMPT, { maxTokens: 400 });
    // in the calling thread one turn a token; beside threads it never stands still
    assert.ok(turned >= ids.length, `${turned} turns, ${ids.length} tokens`);
    over = true;
    await model.close();
  });

  check(
    `threads: ${threads}: a process ends though a generator was abandoned and the model never closed`,
    () => {
      const program = `
      import { open } from 'cria';
      import { tinyModel } from './dist/test/support/tiny-model.js';
      const model = await open(tinyModel(), { threads: ${threads} });
      const tokens = model.tokens([1, 300], { seed: 1, logitBias: { 1: -100, 2: -100 } });
      await tokens.next();
      console.log((await tokens.next()).value.id >= 0);`;
      const { stdout, status, signal } = spawnSync(
        process.execPath,
        ['--input-type=module', '--eval', program],
        { cwd: projectRoot, encoding: 'utf8', timeout: 60_000 },
      );
      assert.equal([stdout, status, signal], ['true\n', 0, null]);
    },
  );
}

test.run();
