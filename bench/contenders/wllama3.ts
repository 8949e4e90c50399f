import { startPage } from '../chromium.ts';
import { runContender } from '../protocol.ts';

await runContender(task => startPage('wllama3.html', task));
