import { openTokenizer } from '../index.ts';
import { type Command, command, flag, UsageError } from './args.ts';
import { modelOptions } from './options.ts';
import { jsonLine, readStdin, stdinLines, write } from './terminal.ts';

export const tokenize: Command = command({
  name: 'cria tokenize',
  positionals: ['MODEL', '[TEXT]'],
  summary: 'Print the token ids of a text as JSON',
  notes:
    "MODEL may be a vocabulary alone: a GGUF file without tensors, SentencePiece's or llama2.c's tokenizer file.\n" +
    'Without TEXT the text is read from stdin, its last newline included.',
  options: {
    lines: flag('each line of stdin is a text; one array a line'),
    bos: flag('begin with the BOS token'),
    special: flag('recognise control tokens such as </s> in the text'),
    tokenizer: modelOptions.tokenizer,
  },
  run: async ({ lines, bos = false, special = false, tokenizer }, [path, text], { signal }) => {
    if (lines && text !== undefined) throw new UsageError('--lines reads stdin: give it or TEXT, not both');
    const vocabulary = await openTokenizer(tokenizer ?? path!, { signal });
    const ids = (one: string) => jsonLine(vocabulary.encode(one, { bos, eos: false, special }));
    if (lines) {
      for await (const batch of stdinLines(signal)) await write(batch.map(ids).join(''));
    } else {
      await write(ids(text ?? (await readStdin(signal))));
    }
  },
});
