import { startPage } from '../chromium.ts';
import { runContender } from '../protocol.ts';

await runContender(task => startPage('cria.html', task));
