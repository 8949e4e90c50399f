import { type ChatMessage, type Completion, CriaError, type Model } from '../index.ts';
import { type Command, command, only, text, type Values } from './args.ts';
import { type LineSource, pipedLines, typedLines } from './chat-lines.ts';
import { Composer, type Entry } from './composer.ts';
import { Interrupted, type Interrupts } from './interrupts.ts';
import { generationOptions, modelOptions, verboseOption } from './options.ts';
import { verboseText } from './report.ts';
import { consume, withModel } from './session.ts';
import { generated, say, write } from './terminal.ts';

const HELP = `/system TEXT  set the system message; without TEXT remove it
/reset        forget the conversation
/bye          leave (also Ctrl-D)
"""           begin and end a message of several lines; a line that ends in \\ goes on as well
Ctrl-C        stop the answer`;

/** A model that writes these speaks out of its turn, and they may not come back as its answer. */
const TURN_MARKERS = ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>'];

const options = {
  system: text('TEXT', 'the system message: what the answers should be like'),
  ...generationOptions,
  ...modelOptions,
  verbose: verboseOption,
};

export const chat: Command = command({
  name: 'cria chat',
  positionals: ['MODEL'],
  summary: 'Talk with a model',
  notes: `On the prompt:\n${HELP.replace(/^/gm, '  ')}`,
  options,
  run: (values, [path], interrupts) =>
    withModel(path!, values, interrupts, async model => {
      const isTyped = process.stdin.isTTY && process.stdout.isTTY;
      const lines = isTyped ? typedLines(interrupts.signal) : pipedLines(interrupts.signal);
      if (isTyped) say('/help lists the commands.');
      try {
        await new Chat(model, values, interrupts).converse(lines);
      } finally {
        lines.close();
      }
    }),
});

class Chat {
  readonly #model: Model;
  readonly #values: Values<typeof options>;
  readonly #interrupts: Interrupts;
  #system: string | undefined;
  /** Alternately of the user and of the model. */
  #messages: ChatMessage[] = [];

  constructor(model: Model, values: Values<typeof options>, interrupts: Interrupts) {
    this.#model = model;
    this.#values = values;
    this.#interrupts = interrupts;
    this.#system = values.system;
  }

  async converse(lines: LineSource): Promise<void> {
    const composer = new Composer();
    for (;;) {
      const event = await lines.next(composer.isOpen ? '... ' : '>>> ');
      this.#interrupts.signal.throwIfAborted();
      if (event.kind === 'interrupt') {
        const effect = composer.interrupt(event.isTyping);
        if (effect === 'leave') return;
        if (effect === 'warned') say('Ctrl-C once more leaves, as do Ctrl-D and /bye.');
      } else {
        const entry = event.kind === 'line' ? composer.push(event.text) : composer.finish();
        if ((await this.#act(entry)) === 'leave' || event.kind === 'end') return;
      }
    }
  }

  async #act(entry: Entry): Promise<'leave' | 'stay'> {
    if (entry.kind === 'command') return this.#obey(entry);
    if (entry.kind === 'message') await this.#answer(entry.text);
    return 'stay';
  }

  #obey({ name, argument }: { name: string; argument: string }): 'leave' | 'stay' {
    if (name === 'bye') return 'leave';
    if (name === 'reset') {
      this.#messages = [];
      say('The conversation is forgotten.');
    } else if (name === 'system') {
      this.#system = argument === '' ? undefined : argument;
      say(argument === '' ? 'The system message is removed.' : 'The system message is set.');
    } else if (name === 'help') {
      say(HELP);
    } else {
      say(`No command /${name}. /help lists them; to begin a message with /, put it between """ and """.`);
    }
    return 'stay';
  }

  async #answer(content: string): Promise<void> {
    const question: ChatMessage = { role: 'user', content };
    const system: ChatMessage[] =
      this.#system === undefined ? [] : [{ role: 'system', content: this.#system }];
    const messages = [...system, ...this.#messages, question];
    let answer = '';
    const take = async (piece: string) => {
      // Models begin an answer with a space, which belongs to the format of the chat.
      const shown = answer === '' ? piece.trimStart() : piece;
      answer += shown;
      if (shown !== '') await write(generated(shown));
    };
    try {
      const completion = await this.#interrupts.during(signal => {
        const chosen = only(generationOptions, this.#values);
        const stop = [...(chosen.stop ?? []), ...TURN_MARKERS];
        return consume(this.#model.chat(messages, { ...chosen, stop, signal }), take);
      });
      await write('\n');
      this.#report(completion);
    } catch (error) {
      if (answer !== '') await write('\n');
      this.#explain(error);
    }
    if (answer !== '') this.#messages.push(question, { role: 'assistant', content: answer });
  }

  #report(completion: Completion): void {
    const { done, usage } = completion;
    const isFull = done === 'length' && usage.completionTokens !== this.#values.maxTokens;
    if (isFull) say('(the context is full; /reset begins a new conversation)');
    if (this.#values.verbose) say(verboseText(completion));
  }

  /** Says what a conversation survives. @throws anything else */
  #explain(error: unknown): void {
    if (error instanceof Interrupted && !this.#interrupts.signal.aborted) {
      say('(stopped)');
    } else if (error instanceof CriaError && error.code !== 'closed') {
      const advice = error.code === 'chat-too-long' ? ' /reset begins a new conversation.' : '';
      say(`cria: ${error.message}${advice}`);
    } else {
      throw error;
    }
  }
}
