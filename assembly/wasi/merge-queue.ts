// Proposed merges, the best first: a binary heap of ranks, the leftmost of equals first.

/** rank and place as one number (u64), and the piece that the two would become (u32). */
let keys: usize = 0;
let pieces: usize = 0;
let waiting: i32 = 0;
/** What `dequeue` took: the place of the left symbol, and the piece. */
export let first: i32 = 0;
export let firstPiece: i32 = 0;

/** @param room 12 bytes for each of `capacity` proposals */
export function openQueue(room: usize, capacity: i32): void {
  keys = room;
  pieces = room + (<usize>capacity << 3);
  waiting = 0;
}

// @ts-ignore: decorator
@inline
function keyAt(i: i32): u64 {
  return load<u64>(keys + (<usize>i << 3));
}

// @ts-ignore: decorator
@inline
function pieceAt(i: i32): i32 {
  return load<i32>(pieces + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
function put(i: i32, key: u64, piece: i32): void {
  store<u64>(keys + (<usize>i << 3), key);
  store<i32>(pieces + (<usize>i << 2), piece);
}

export function enqueue(rank: i32, place: i32, piece: i32): void {
  const key = (<u64>rank << 32) | place;
  let hole = waiting++;
  while (hole > 0) {
    const parent = (hole - 1) >> 1;
    if (keyAt(parent) <= key) break;
    put(hole, keyAt(parent), pieceAt(parent));
    hole = parent;
  }
  put(hole, key, piece);
}

/** Whether there was one. */
export function dequeue(): bool {
  if (waiting == 0) return false;
  first = <i32>keyAt(0);
  firstPiece = pieceAt(0);
  const size = --waiting;
  const last = keyAt(size), lastPiece = pieceAt(size);
  let hole = 0;
  for (let child = 1; child < size; child = 2 * hole + 1) {
    if (child + 1 < size && keyAt(child + 1) < keyAt(child)) child++;
    if (last <= keyAt(child)) break;
    put(hole, keyAt(child), pieceAt(child));
    hole = child;
  }
  put(hole, last, lastPiece);
  return true;
}
