/** A candidate for a piece. */
export interface Candidate {
  text: string;
  /** Characters. */
  length: number;
  /** Occurrences in the text as it is merged now. */
  count: number;
  /** The count that it is queued with; 0 if it is not. */
  queued: number;
}

/** A binary heap of candidates with the count that they had when they were put in. */
export class CandidateQueue<C extends Candidate> {
  readonly #entries: Entry<C>[] = [];

  /** To be called when a count exceeds what it is queued with; one that has shrunk is found out by `pop`. */
  push(candidate: C): void {
    const entries = this.#entries;
    const entry = { candidate, count: candidate.count };
    candidate.queued = candidate.count;
    let hole = entries.length;
    entries.push(entry);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!before(entry, entries[parent]!)) break;
      entries[hole] = entries[parent]!;
      hole = parent;
    }
    entries[hole] = entry;
  }

  /** The best candidate by its count of now; undefined if none is left that occurs. */
  pop(): C | undefined {
    for (;;) {
      const entry = this.#popEntry();
      if (entry === undefined) return undefined;
      const { candidate, count } = entry;
      if (count !== candidate.queued) continue; // it was queued again since
      candidate.queued = 0;
      if (count === candidate.count && count > 0) return candidate;
      if (candidate.count > 0) this.push(candidate);
    }
  }

  #popEntry(): Entry<C> | undefined {
    const entries = this.#entries;
    const top = entries[0];
    const last = entries.pop();
    const size = entries.length;
    if (last === undefined || size === 0) return top;
    let hole = 0;
    for (let child = 1; child < size; child = 2 * hole + 1) {
      if (child + 1 < size && before(entries[child + 1]!, entries[child]!)) child++;
      if (!before(entries[child]!, last)) break;
      entries[hole] = entries[child]!;
      hole = child;
    }
    entries[hole] = last;
    return top;
  }
}

interface Entry<C extends Candidate> {
  candidate: C;
  count: number;
}

/**
 * Whether the first becomes a piece before the second: it occurs more often, or is shorter, or has smaller UTF-16 code
 * units. No two candidates have the same text, so the order is total.
 */
function before(a: Entry<Candidate>, b: Entry<Candidate>): boolean {
  if (a.count !== b.count) return a.count > b.count;
  const { candidate: x } = a;
  const { candidate: y } = b;
  return x.length !== y.length ? x.length < y.length : x.text < y.text;
}
