// The entry of training where there are no files: tokens are kept in memory, or in a store of one's own.

import { startTrainThread } from '../runtime/browser-train.ts';
import { names } from '../runtime/web.ts';
import { type TrainCria, trainOn } from '../train/on.ts';

export * from '../train/all.ts';

const train = trainOn(names, typeof Worker === 'function' ? startTrainThread : undefined);
export const readDocuments: TrainCria['readDocuments'] = train.readDocuments;
export const sourceHash: TrainCria['sourceHash'] = train.sourceHash;
export const tokensOf: TrainCria['tokensOf'] = train.tokensOf;
export const openData: TrainCria['openData'] = train.openData;
export const dataReport: TrainCria['dataReport'] = train.dataReport;
export const weightsFrom: TrainCria['weightsFrom'] = train.weightsFrom;
export const runIdentity: TrainCria['runIdentity'] = train.runIdentity;
export const createTrainer: TrainCria['createTrainer'] = train.createTrainer;
