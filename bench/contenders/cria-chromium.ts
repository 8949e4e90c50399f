import { startPage } from '../chromium.ts';
import { criaVersion } from '../paths.ts';
import { runContender } from '../protocol.ts';

await runContender(async task => ({ ...(await startPage('cria.html', task)), version: criaVersion() }));
