/**
 * Q4_K and Q5_K keep the scales and mins of 8 sub-blocks, 6 bits each, in 12 bytes: bytes 0–3 and 4–7 begin with the
 * scales and the mins of sub-blocks 0–3; bytes 8–11 hold the low halves of those of 4–7, whose upper two bits lie on
 * top of the earlier bytes.
 *
 * @param scale whether the scale or the min of sub-block `j` is asked for
 */
export function unpackK4(bytes: Uint8Array, at: number, j: number, scale: boolean): number {
  const first = bytes[at + (scale ? 0 : 4) + (j & 3)]!;
  if (j < 4) return first & 63;
  const low = bytes[at + 4 + j]! >> (scale ? 0 : 4);
  return (low & 15) | ((first >> 6) << 4);
}

/** The inverse of `unpackK4`, for all 8 sub-blocks. */
export function packK4(scales: Uint8Array, mins: Uint8Array, bytes: Uint8Array, at: number): void {
  for (let j = 0; j < 4; j++) {
    bytes[at + j] = scales[j]! | ((scales[j + 4]! >> 4) << 6);
    bytes[at + 4 + j] = mins[j]! | ((mins[j + 4]! >> 4) << 6);
    bytes[at + 8 + j] = (scales[j + 4]! & 15) | ((mins[j + 4]! & 15) << 4);
  }
}

/**
 * Q3_K keeps the scales of 16 sub-blocks, 6 bits each and 32 too large, in 12 bytes: the low halves of sub-blocks j and
 * j + 8 in byte j, the upper two bits of j, j + 4, j + 8 and j + 12 in byte 8 + j.
 */
export function unpackK3(bytes: Uint8Array, at: number, j: number): number {
  const low = (bytes[at + (j & 7)]! >> (j < 8 ? 0 : 4)) & 15;
  const high = (bytes[at + 8 + (j & 3)]! >> (2 * (j >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

/** The inverse of `unpackK3`, for all 16 sub-blocks; `scales` are in −32..31. */
export function packK3(scales: Int8Array, bytes: Uint8Array, at: number): void {
  bytes.fill(0, at, at + 12);
  for (let j = 0; j < 16; j++) {
    const code = scales[j]! + 32;
    bytes[at + (j & 7)]! |= (code & 15) << (j < 8 ? 0 : 4);
    bytes[at + 8 + (j & 3)]! |= (code >> 4) << (2 * (j >> 2));
  }
}

/** The scale of sub-block `j` of IQ4_XS, in −32..31: low halves two a byte after 2 bytes of upper bits. */
export function unpackXs(bytes: Uint8Array, at: number, j: number): number {
  const low = (bytes[at + 2 + (j >> 1)]! >> (4 * (j & 1))) & 15;
  const high = (bytes[at + (j >> 2)]! >> (2 * (j & 3))) & 3;
  return (low | (high << 4)) - 32;
}

/** The inverse of `unpackXs`, for all 8 sub-blocks. */
export function packXs(scales: Int8Array, bytes: Uint8Array, at: number): void {
  bytes.fill(0, at, at + 6);
  for (let j = 0; j < 8; j++) {
    const code = scales[j]! + 32;
    bytes[at + 2 + (j >> 1)]! |= (code & 15) << (4 * (j & 1));
    bytes[at + (j >> 2)]! |= (code >> 4) << (2 * (j & 3));
  }
}
