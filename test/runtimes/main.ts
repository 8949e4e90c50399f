// The conformance file on every runtime that is installed, with the packed package; then one table. Every hash must be the
// golden one.
//
//     npm run test:runtimes                              all, the bundlers and the examples
//     node dist/test/runtimes/main.js [WORD...]          hosts whose names contain one of the words; `bundlers`, `examples`

import { join } from 'node:path';
import { equal } from '../conformance/check.ts';
import { GOLDEN } from '../conformance/golden.ts';
import type { Result } from '../conformance/run.ts';
import { inFolder, install, pack } from '../support/packed.ts';
import { Steps } from '../support/steps.ts';
import { BROWSERS } from './browsers.ts';
import { bundlers } from './bundlers.ts';
import { examples } from './examples.ts';
import { type Host, hostsIn } from './hosts.ts';

const COLD_STARTS = 3;

interface Row {
  host: string;
  result: Result;
  coldMs: number;
  peakBytes: number;
}

async function measure(host: Host): Promise<Row> {
  const { value, peakBytes } = await host.ask('conformance');
  const result = value as Result;
  const cold: number[] = [];
  for (let i = 0; i < COLD_STARTS; i++) cold.push((await host.ask('firstToken')).ms);
  return { host: `${host.name} ${host.version}`, result, coldMs: Math.min(...cold), peakBytes };
}

function check({ result }: Row): void {
  equal(result.failed, {}, 'cases that failed');
  equal(result.bits, GOLDEN, 'hashes');
  if (result.bitsOnTwo) equal(result.bitsOnTwo, GOLDEN, 'hashes with two threads');
}

/** Hashes by their first digits: each has been compared whole. */
function print(rows: Row[]): void {
  const dtypes = Object.keys(GOLDEN.logits);
  const cells = rows.map(({ host, result, coldMs, peakBytes }) => [
    host,
    ...dtypes.map(dtype => result.bits.logits[dtype]!.slice(0, 8)),
    result.bits.texts.slice(0, 8),
    result.bitsOnTwo ? 'yes' : 'no',
    String(result.tokensPerSecond),
    coldMs.toFixed(0),
    (peakBytes / 1e6).toFixed(0),
  ]);
  const head = ['host', ...dtypes, 'texts', '2 threads', 'tok/s', 'cold start ms', 'peak MB'];
  const all = [head, head.map(() => '---'), ...cells];
  console.log(`\n${all.map(row => `| ${row.join(' | ')} |`).join('\n')}\n`);
}

const words = process.argv.slice(2).map(word => word.toLowerCase());
const steps = new Steps();
const rows: Row[] = [];

await inFolder(async folder => {
  const user = join(folder, 'user');
  install(pack(folder, 'built'), user);
  for (const host of await hostsIn(user)) {
    if (words.length > 0 && !words.some(word => host.name.toLowerCase().includes(word))) continue;
    if (host.missing !== undefined) {
      steps.skip(host.name, host.missing);
      continue;
    }
    await steps.run(`the same bits on ${host.name} ${host.version}`, async () => {
      const row = await measure(host);
      rows.push(row);
      check(row);
      return `${row.result.passed.length} cases`;
    });
  }
  const browser = BROWSERS.find(({ command }) => command !== undefined);
  const asked = (word: string) => words.length === 0 || words.includes(word);
  if (asked('bundlers')) await bundlers(user, browser, steps);
  if (asked('examples')) await examples(user, browser, steps);
});
if (rows.length > 0) print(rows);
steps.end();
