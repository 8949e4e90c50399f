// The entry of training under Node, Deno and Bun: what training is made of, for programs.

import { names, openGpu, startTrainThread } from '../runtime/node.ts';
import { files } from '../runtime/node-files.ts';
import { folderStoreOn, type TokenStore } from './data/token-store.ts';
import { type TrainCria, trainOn } from './on.ts';
import { type RunStore, runFolderOn } from './run-store.ts';

export * from './all.ts';

const train = trainOn(names, startTrainThread, async precision => {
  const { TrainCuda } = await import('./cuda.ts');
  return openGpu(device => new TrainCuda(device, precision));
});
export const readDocuments: TrainCria['readDocuments'] = train.readDocuments;
export const sourceHash: TrainCria['sourceHash'] = train.sourceHash;
export const tokensOf: TrainCria['tokensOf'] = train.tokensOf;
export const openData: TrainCria['openData'] = train.openData;
export const dataReport: TrainCria['dataReport'] = train.dataReport;
export const weightsFrom: TrainCria['weightsFrom'] = train.weightsFrom;
export const runIdentity: TrainCria['runIdentity'] = train.runIdentity;
export const createTrainer: TrainCria['createTrainer'] = train.createTrainer;

/** Keeps token files in a folder, which is made when it is first written to. */
export const folderStore = (folder: string): TokenStore => folderStoreOn(files, folder);

/** Keeps the files of a run in a folder, likewise. */
export const runFolder = (folder: string): RunStore => runFolderOn(files, folder);
