// Finds the pieces of a vocabulary by byte-pair encoding (Sennrich et al. 2016): the most frequent pair of neighbours
// becomes a piece, again and again. A merge touches only the spans that hold the pair, whose counts are brought up to date.
import { type Candidate, CandidateQueue } from './queue.ts';
import { type Counts, isPiece } from './words.ts';

/** A string that is a character or that two neighbours spell. However it is put together, it is one symbol. */
interface Token extends Candidate {
  id: number;
  /** 0, 1, … in the order in which they became pieces; −1 before, and for characters. */
  rank: number;
  /** Indexes of spans in which it was a candidate; some may be so no more, none is missing. */
  spans: number[];
}

/** Pairs are keyed by left · STRIDE + right. */
const STRIDE = 2 ** 26;

export class Merger {
  readonly #symbols: Token[] = [];
  readonly #byText = new Map<string, Token>();
  /** What a pair of ids spells; undefined for what cannot be a piece. */
  readonly #pairs = new Map<number, Token | undefined>();
  readonly #queue = new CandidateQueue<Token>();
  /** By span: ids of its symbols, and how often it occurs. */
  readonly #spans: number[][] = [];
  readonly #weights: number[] = [];
  readonly #maxPieceLength: number;
  #pieces = 0;

  /** @param spans stretches of text that pieces may be made of */
  constructor(spans: Counts, maxPieceLength: number) {
    this.#maxPieceLength = maxPieceLength;
    for (const [text, weight] of spans) {
      const span = Array.from(text, character => this.#symbol(character, 1).id);
      if (span.length === 1) continue; // never merges
      this.#spans.push(span);
      this.#weights.push(weight);
    }
    for (let i = 0; i < this.#spans.length; i++) {
      for (const symbol of this.#candidates(i)) {
        symbol.count += this.#weights[i]!;
        if (symbol.spans.at(-1) !== i) symbol.spans.push(i);
      }
    }
    for (const symbol of this.#symbols) if (symbol.count > 0) this.#queue.push(symbol);
  }

  /** The next piece and how often it occurred before anything was merged into it; undefined when no pair is left. */
  next(): { text: string; count: number } | undefined {
    const piece = this.#queue.pop();
    if (piece === undefined) return undefined;
    const { text, count, spans } = piece;
    piece.rank = this.#pieces++;
    const grown = new Set<Token>();
    for (const i of new Set(spans)) {
      const weight = this.#weights[i]!;
      const before = [...this.#candidates(i)];
      for (const symbol of before) symbol.count -= weight;
      this.#mergeSpan(this.#spans[i]!);
      for (const symbol of this.#candidates(i)) {
        symbol.count += weight;
        if (!before.includes(symbol) && symbol.spans.at(-1) !== i) symbol.spans.push(i);
        if (symbol.count > symbol.queued) grown.add(symbol);
      }
    }
    piece.spans = [];
    for (const symbol of grown) if (symbol.count > symbol.queued) this.#queue.push(symbol);
    return { text, count };
  }

  /** What neighbours in a span spell. Of overlapping equals (aa in aaa) only what could be merged together is given. */
  *#candidates(index: number): Generator<Token> {
    const span = this.#spans[index]!;
    let overlapped = false;
    for (let i = 0; i + 1 < span.length; i++) {
      const left = span[i]!;
      const right = span[i + 1]!;
      const repeats: boolean = i > 0 && left === right && span[i - 1] === left && !overlapped;
      overlapped = repeats;
      if (repeats) continue;
      const symbol = this.#pair(left, right);
      if (symbol !== undefined) yield symbol;
    }
  }

  /** Merges as the encoder does: the pair that became a piece first, the leftmost of equals. */
  #mergeSpan(span: number[]): void {
    for (;;) {
      let best: Token | undefined;
      let at = 0;
      for (let i = 0; i + 1 < span.length; i++) {
        const symbol = this.#pair(span[i]!, span[i + 1]!);
        if (symbol === undefined || symbol.rank < 0 || (best !== undefined && symbol.rank >= best.rank))
          continue;
        best = symbol;
        at = i;
      }
      if (best === undefined) return;
      span[at] = best.id;
      span.splice(at + 1, 1);
    }
  }

  #pair(left: number, right: number): Token | undefined {
    const key = left * STRIDE + right;
    const known = this.#pairs.get(key);
    if (known !== undefined || this.#pairs.has(key)) return known;
    const a = this.#symbols[left]!;
    const b = this.#symbols[right]!;
    const length = a.length + b.length;
    const text = a.text + b.text;
    const symbol = length <= this.#maxPieceLength && isPiece(text) ? this.#symbol(text, length) : undefined;
    this.#pairs.set(key, symbol);
    return symbol;
  }

  #symbol(text: string, length: number): Token {
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const symbol = { id: this.#symbols.length, text, length, count: 0, queued: 0, rank: -1, spans: [] };
    this.#symbols.push(symbol);
    this.#byText.set(text, symbol);
    return symbol;
  }
}
