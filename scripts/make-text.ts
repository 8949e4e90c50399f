/** Characters that stand for bytes: see `host/text-bytes.ts`. */
const CHARACTERS = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).filter(
  character => !"'\\".includes(character),
);
const PREFIXES = CHARACTERS.slice(-2);
const SINGLES = CHARACTERS.slice(0, -2);

/** All bytes, those that stand in the files most often first. */
export function frequencyOrder(files: readonly Uint8Array[]): Uint8Array {
  const counts = new Uint32Array(256);
  for (const file of files) for (const byte of file) counts[byte]!++;
  return Uint8Array.from({ length: 256 }, (_, byte) => byte).sort((a, b) => counts[b]! - counts[a]! || a - b);
}

/** Bytes as the text that `host/text-bytes.ts` reads. */
export function makeText(bytes: Uint8Array, order: Uint8Array): string {
  const spelt = new Array<string>(256);
  for (const [rank, byte] of order.entries()) {
    const rest = rank - SINGLES.length;
    spelt[byte] =
      rest < 0
        ? SINGLES[rank]!
        : PREFIXES[Math.floor(rest / CHARACTERS.length)]! + CHARACTERS[rest % CHARACTERS.length]!;
  }
  return Array.from(bytes, byte => spelt[byte]).join('');
}
