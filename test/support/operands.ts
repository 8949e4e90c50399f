/** What a kernel may touch in a call: operands, their roles and parts. */

/**
 * What a kernel may do with an operand:
 *
 *     in      read
 *     out     write all of it; read what it wrote
 *     inout   read, and write all of it
 *     work    as out, but need not write all
 */
export type Role = 'in' | 'out' | 'inout' | 'work';

export interface Operand {
  name: string;
  role: Role;
  /** Its initial bytes; of an out or a work operand only their number counts. */
  data: Uint8Array;
  align: number;
  /** [offset, bytes] of what may be touched; all of it where absent. */
  parts?: [number, number][];
}

export interface OpCase {
  op: string;
  /** What the operands' sizes follow from. */
  shape: Record<string, number>;
  operands: Operand[];
  /** In the order of the ABI; a name stands for the operand's address. */
  args: (string | number)[];
  /** What the output must hold, where that is known byte for byte. */
  expected?: Uint8Array;
}

/** A case without its name: several ops share a maker. */
export type Call = Omit<OpCase, 'op'>;

export function input(name: string, data: Uint8Array, align = 4): Operand {
  return { name, role: 'in', data, align };
}

export function inout(name: string, data: Uint8Array): Operand {
  return { name, role: 'inout', data, align: 4 };
}

export function output(name: string, bytes: number): Operand {
  return { name, role: 'out', data: new Uint8Array(bytes), align: 4 };
}

/** The parts of an operand that are these rows. */
export function rowsOf(rows: number[], bytes: number): [number, number][] {
  return rows.map(row => [row * bytes, bytes]);
}
