// As inference-commands.ts, for those that need what trains.

export { carbon } from './carbon.ts';
export { dataReport } from './data-report.ts';
export { exportModel } from './export.ts';
export { plot } from './plot.ts';
export { tokenizerTrain } from './tokenizer-train.ts';
export { train } from './train.ts';
