/** What the lines typed so far amount to. */
export type Entry =
  | { kind: 'message'; text: string }
  | { kind: 'command'; name: string; argument: string }
  /** Nothing to do: an empty line, or the text is not complete. */
  | { kind: 'none' };

const FENCE = '"""';

/** Joins typed lines to messages: `"""` opens and closes a block, a trailing backslash continues a line. */
export class Composer {
  #lines: string[] = [];
  #inBlock = false;
  #interrupts = 0;

  /** Whether the next line continues an unfinished message. */
  get isOpen(): boolean {
    return this.#inBlock || this.#lines.length > 0;
  }

  push(line: string): Entry {
    this.#interrupts = 0;
    if (this.#inBlock) return this.#pushInBlock(line);
    if (!this.isOpen && line.startsWith(FENCE)) {
      this.#inBlock = true;
      return this.#pushInBlock(line.slice(FENCE.length));
    }
    if (line.endsWith('\\')) {
      this.#lines.push(line.slice(0, -1));
      return { kind: 'none' };
    }
    const command = this.isOpen ? null : /^\/(\S*)\s*(.*)$/s.exec(line);
    if (command) return { kind: 'command', name: command[1]!, argument: command[2]!.trimEnd() };
    this.#lines.push(line);
    return this.finish();
  }

  /** Ends the text here, as the end of the input does, even inside a block. */
  finish(): Entry {
    const text = this.#lines.join('\n');
    this.#clear();
    return text.trim() === '' ? { kind: 'none' } : { kind: 'message', text };
  }

  /**
   * Ctrl-C at the prompt: gives up what is typed; on an empty prompt the second in a row leaves.
   * @param isTyping whether the current line has text
   */
  interrupt(isTyping: boolean): 'cleared' | 'warned' | 'leave' {
    if (isTyping || this.isOpen) {
      this.#clear();
      this.#interrupts = 0;
      return 'cleared';
    }
    return ++this.#interrupts > 1 ? 'leave' : 'warned';
  }

  #pushInBlock(line: string): Entry {
    const end = line.trimEnd();
    if (!end.endsWith(FENCE)) {
      this.#lines.push(line);
      return { kind: 'none' };
    }
    const last = end.slice(0, -FENCE.length);
    // Fences on lines of their own add no empty lines to the text.
    if (last !== '') this.#lines.push(last);
    if (this.#lines[0] === '') this.#lines.shift();
    return this.finish();
  }

  #clear(): void {
    this.#lines = [];
    this.#inBlock = false;
  }
}
