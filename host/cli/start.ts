import { execute } from './program.ts';
import { start } from './run.ts';

process.exitCode = await execute(start, process.argv.slice(2));
