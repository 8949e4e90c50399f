import { startPage } from '../chromium.ts';
import { runContender } from '../protocol.ts';

await runContender(task => startPage('wllama2.html', task));
