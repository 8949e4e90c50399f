// In one file, since the package has a file for each that is loaded when it is needed.

export { chat } from './chat.ts';
export { perplexity } from './perplexity.ts';
export { quantize } from './quantize.ts';
export { run } from './run.ts';
export { show } from './show.ts';
export { split } from './split.ts';
export { tokenize } from './tokenize.ts';
