// Markers of the int8 formats in which groups of rows stand in memory (relayout.ts), told apart at compile time.

export class Q8_0 {}
export class Q8_F32 {}
