import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { split as splitFile } from '../index.ts';
import { byteCount, type Command, command, flag, text } from './args.ts';
import { bytes } from './format.ts';
import { type NewFile, newFile, unwritable } from './new-file.ts';
import { Progress } from './progress.ts';
import { jsonLine, oneLine, write } from './terminal.ts';

export const split: Command = command({
  name: 'cria split',
  positionals: ['MODEL'],
  summary: 'Cut a model into parts with hashes, for places that take no large files',
  notes:
    'Writes MODEL.part-00001, ... and MODEL.parts.json, which every command and open() take in the place of the model:\n' +
    'its path or URL, with the parts beside it. Each part is checked as it is read.',
  options: {
    part: byteCount('SIZE', { min: 1, max: 2 ** 28 }, 'size of a part: 25MB, 25MiB, ...; default 25MB'),
    out: text('DIR', 'the folder to write into, made if it is not there; default: that of MODEL'),
    json: flag('print the manifest as one JSON object'),
  },
  run: async ({ part, out, json }, [path], { signal }) => {
    const folder = out ?? (/^https?:/i.test(path!) ? '.' : dirname(path!));
    if (out !== undefined) {
      await mkdir(out, { recursive: true }).catch(cause => Promise.reject(unwritable(out, cause)));
    }
    const files: NewFile[] = [];
    const progress = new Progress();
    try {
      const manifest = await splitFile(
        path!,
        async name => {
          const file = await newFile(join(folder, name), path!);
          files.push(file);
          return { write: file.write, close: file.finish };
        },
        {
          ...(part !== undefined && { part }),
          signal,
          onProgress: ({ done, total }) =>
            progress.show(`${Math.floor((100 * done) / total)}% of ${bytes(total)}`),
        },
      );
      for (const file of files) await file.publish();
      progress.clear();
      const { name, size, parts } = manifest;
      const said = `${oneLine(join(folder, name))}.parts.json: ${bytes(size)} in ${parts.length} part${parts.length > 1 ? 's' : ''}\n`;
      await write(json ? jsonLine(manifest) : said);
    } finally {
      progress.clear();
      await Promise.all(files.map(file => file.discard()));
    }
  },
});
