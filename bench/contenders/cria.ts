import { startCria } from '../cria-engine.ts';
import { runContender } from '../protocol.ts';

await runContender(task => startCria(task, 'wasm'));
