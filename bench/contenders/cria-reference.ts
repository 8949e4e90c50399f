// Plain loops: never timed, but they say what the right tokens are where llama.cpp is not installed.

import { startCria } from '../cria-engine.ts';
import { runContender } from '../protocol.ts';

await runContender(task => startCria(task, 'reference'));
