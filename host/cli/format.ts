/** Bytes for people, in powers of 1024. */
export function bytes(count: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  if (count < 1024) return `${count} B`;
  let value = count / 1024;
  let unit = 0;
  // Rounded for the comparison, so that nothing prints as 1024.0.
  while (Number(value.toFixed(1)) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** A time for people: 1:02:03, or 2:03 below an hour. */
export function duration(seconds: number): string {
  const [s, m, h] = [Math.floor(seconds % 60), Math.floor((seconds / 60) % 60), Math.floor(seconds / 3600)];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** The shortest decimal that is the same number in f32 if it is one at all: 1e-5 and not 0.000009999999747378752. */
export function shortest(value: number): string {
  if (Math.fround(value) === value) {
    for (let digits = 1; digits < 9; digits++) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return String(short);
    }
  }
  return String(value);
}

/** Rows with aligned columns, each column padded except the last. */
export function table(rows: string[][], rightAligned: number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => void (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const line = (row: string[]) =>
    row.map((cell, i) => (rightAligned.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)));
  return rows.map(row => `  ${line(row).join('  ').trimEnd()}\n`).join('');
}
