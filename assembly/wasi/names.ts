// Byte strings by number and numbers by byte string: a chained hash table, keyed by random numbers so that no file can make
// its names collide.

import { take } from './memory';
import { random_get } from './preview1';

const KEY = memory.data(16, 8);

@unmanaged
export class Names {
  /** Address and length of each name's bytes. */
  starts: usize;
  lengths: usize;
  /** Name + 1 by place, and then by name what comes next at the same place; 0 is the end. */
  private first: usize;
  private next: usize;
  private mask: u32;

  /** Room for `count` names. */
  static make(count: u32): Names {
    if (load<u64>(KEY) == 0) random_get(KEY, 16);
    const names = changetype<Names>(take(offsetof<Names>()));
    const places: u32 = count < 2 ? 2 : <u32>1 << (32 - clz(count - 1));
    names.starts = take(<u64>count * 4);
    names.lengths = take(<u64>count * 4);
    names.next = take(<u64>count * 4);
    names.first = take(<u64>places * 4);
    names.mask = places - 1;
    return names;
  }

  start(id: u32): usize {
    return load<u32>(this.starts + (<usize>id << 2));
  }

  length(id: u32): u32 {
    return load<u32>(this.lengths + (<usize>id << 2));
  }

  put(id: u32, start: usize, length: u32): void {
    store<u32>(this.starts + (<usize>id << 2), start);
    store<u32>(this.lengths + (<usize>id << 2), length);
  }

  /** Makes name `id` one that is found, unless an equal one is: then that is returned, else −1. */
  enter(id: u32): i32 {
    const start = this.start(id), length = this.length(id);
    const place = this.first + (<usize>(hashOf(start, length) & this.mask) << 2);
    const equal = this.among(load<u32>(place), start, length);
    if (equal >= 0) return equal;
    store<u32>(this.next + (<usize>id << 2), load<u32>(place));
    store<u32>(place, id + 1);
    return -1;
  }

  /** The number of a name, −1 if it is none. */
  find(start: usize, length: u32): i32 {
    return this.among(load<u32>(this.first + (<usize>(hashOf(start, length) & this.mask) << 2)), start, length);
  }

  private among(head: u32, start: usize, length: u32): i32 {
    for (; head > 0; head = load<u32>(this.next + (<usize>(head - 1) << 2))) {
      const id = head - 1;
      if (this.length(id) == length && memory.compare(this.start(id), start, length) == 0) return id;
    }
    return -1;
  }
}

/** Eight bytes at a time times an odd secret number, the high bits mixed into the low ones. */
function hashOf(start: usize, length: u32): u32 {
  const factor = load<u64>(KEY, 8) | 1;
  let hash = load<u64>(KEY) ^ length;
  let left = length;
  for (; left >= 8; left -= 8) {
    hash = (hash ^ load<u64>(start)) * factor;
    hash ^= hash >> 29;
    start += 8;
  }
  let rest: u64 = 0;
  for (; left > 0; left--) rest = (rest << 8) | load<u8>(start++);
  hash = (hash ^ rest) * factor;
  return <u32>(hash >> 32) ^ <u32>hash;
}
