// The entry cria/train under Node, Deno and Bun: what training is made of, for programs.

import { names } from '../runtime/node.ts';
import { files } from '../runtime/node-files.ts';
import { folderStoreOn, type TokenStore } from './data/token-store.ts';
import { type TrainCria, trainOn } from './on.ts';

export * from './all.ts';

const train = trainOn(names);
export const readDocuments: TrainCria['readDocuments'] = train.readDocuments;
export const sourceHash: TrainCria['sourceHash'] = train.sourceHash;
export const tokensOf: TrainCria['tokensOf'] = train.tokensOf;
export const openData: TrainCria['openData'] = train.openData;
export const dataReport: TrainCria['dataReport'] = train.dataReport;

/** Keeps token files in a folder, which is made when it is first written to. */
export const folderStore = (folder: string): TokenStore => folderStoreOn(files, folder);
