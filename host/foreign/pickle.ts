import { FileError } from '../errors.ts';
import { PickleReader } from './pickle-reader.ts';

/** A storage of torch: numbers that lie in an entry of the archive. */
export interface Storage {
  /** The class in torch that its type is named by: `FloatStorage`. */
  type: string;
  /** Its entry is `data/` and this. */
  key: string;
  /** Numbers. */
  length: number;
}

/** A tensor: a view of a storage. Offset and strides are in numbers. */
export class PickledTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: number[];
  readonly strides: number[];

  constructor(storage: Storage, offset: number, shape: number[], strides: number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** What a pickle can hold here. Lists and tuples are arrays. */
export type Pickled =
  | null
  | boolean
  | number
  | string
  | Pickled[]
  | Map<Pickled, Pickled>
  | PickledTensor
  | Named;

/** A name that a pickle may call or refer to: nothing is ever called for it. */
interface Named {
  named: string;
}

const DICT = 'collections OrderedDict';
const TENSOR = 'torch._utils _rebuild_tensor_v2';
const STORAGE = /^torch (\w+Storage)$/;

/** More is no checkpoint's: each tensor takes about 200 bytes. */
export const PICKLE_LIMIT: number = 2 ** 26;

/**
 * What a pickle of tensors says: a machine of the few instructions that `torch.save` writes for dictionaries, numbers, texts
 * and tensors (Python, Lib/pickletools.py; torch/_utils.py, `_rebuild_tensor_v2`). It imports nothing and calls nothing: of names
 * it knows those of tensors, of their storages and of an ordered dictionary, and refuses all others.
 *
 * @param name for messages
 * @throws FileError 'bad-pickle' for bytes that are no pickle; 'refused-pickle' for one that names or does anything else
 */
export function unpickle(bytes: Uint8Array, name: string): Pickled {
  return new Machine(bytes, name).run();
}

class Machine {
  readonly #in: PickleReader;
  readonly #name: string;
  #stack: Pickled[] = [];
  /** The stacks below the marks. */
  readonly #below: Pickled[][] = [];
  readonly #memo = new Map<number, Pickled>();

  constructor(bytes: Uint8Array, name: string) {
    this.#in = new PickleReader(bytes, name);
    this.#name = name;
  }

  run(): Pickled {
    for (;;) {
      const at = this.#in.at;
      const code = this.#in.byte();
      if (code === 0x2e) return this.#pop(); // STOP
      if (!this.#step(code)) {
        throw this.#refused(at, 'an instruction of a pickle of tensors', `0x${code.toString(16)}`);
      }
    }
  }

  /** @returns whether there is such an instruction */
  #step(code: number): boolean {
    const push = (value: Pickled): true => {
      this.#stack.push(value);
      return true;
    };
    const remember = (key: number): true => {
      this.#memo.set(key, this.#top());
      return true;
    };
    switch (code) {
      case 0x80: // PROTO
        this.#in.byte();
        return true;
      case 0x95: // FRAME
        this.#in.take(8);
        return true;
      case 0x63: // GLOBAL
        return push(this.#named(`${this.#in.line()} ${this.#in.line()}`));
      case 0x93: {
        // STACK_GLOBAL
        const member = this.#pop();
        return push(this.#named(`${String(this.#pop())} ${String(member)}`));
      }
      case 0x71: // BINPUT
        return remember(this.#in.byte());
      case 0x72: // LONG_BINPUT
        return remember(this.#in.u32());
      case 0x94: // MEMOIZE
        return remember(this.#memo.size);
      case 0x68: // BINGET
        return push(this.#recall(this.#in.byte()));
      case 0x6a: // LONG_BINGET
        return push(this.#recall(this.#in.u32()));
      case 0x4e: // NONE
        return push(null);
      case 0x88: // NEWTRUE
        return push(true);
      case 0x89: // NEWFALSE
        return push(false);
      case 0x4a: // BININT
        return push(this.#in.u32() | 0);
      case 0x4b: // BININT1
        return push(this.#in.byte());
      case 0x4d: // BININT2
        return push(this.#in.u16());
      case 0x8a: // LONG1
        return push(this.#in.long(this.#in.byte()));
      case 0x47: // BINFLOAT
        return push(this.#in.f64());
      case 0x58: // BINUNICODE
        return push(this.#in.text(this.#in.u32()));
      case 0x8c: // SHORT_BINUNICODE
        return push(this.#in.text(this.#in.byte()));
      case 0x28: // MARK
        this.#below.push(this.#stack);
        this.#stack = [];
        return true;
      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
        return push([]);
      case 0x7d: // EMPTY_DICT
        return push(new Map());
      case 0x74: // TUPLE
        return push(this.#marked());
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return push(this.#several(code - 0x84));
      case 0x61: // APPEND
        this.#listAt(1).push(...this.#several(1));
        return true;
      case 0x65: {
        // APPENDS
        const values = this.#marked();
        for (const value of values) this.#listAt(0).push(value);
        return true;
      }
      case 0x73: // SETITEM
        this.#set(this.#several(2));
        return true;
      case 0x75: // SETITEMS
        this.#set(this.#marked());
        return true;
      case 0x51: // BINPERSID
        return push(this.#storage(this.#pop()));
      case 0x52: {
        // REDUCE
        const args = this.#pop();
        return push(this.#reduced(this.#pop(), args));
      }
      case 0x62: // BUILD: attributes of a dictionary, which say nothing of its tensors
        this.#pop();
        if (!(this.#top() instanceof Map))
          throw this.#refused(this.#in.at, 'a dictionary', 'an object with state');
        return true;
      default:
        return false;
    }
  }

  #reduced(callee: Pickled, args: Pickled): Pickled {
    const { named } = (callee ?? {}) as Named;
    if (named === DICT && Array.isArray(args) && args.length === 0) return new Map();
    if (named === TENSOR && Array.isArray(args)) {
      const [storage, offset, shape, strides] = args;
      const given = (storage ?? {}) as unknown as Partial<Storage>;
      if (given.key !== undefined && count(offset) && counts(shape) && counts(strides)) {
        if (shape.length === strides.length)
          return new PickledTensor(given as Storage, offset, shape, strides);
      }
    }
    throw this.#refused(this.#in.at, 'a dictionary or a tensor that is made', named ?? 'something else');
  }

  /** ('storage', class, key, where it was, numbers) */
  #storage(id: Pickled): Pickled {
    if (Array.isArray(id) && id.length === 5 && id[0] === 'storage') {
      const type = STORAGE.exec((id[1] as Named | null)?.named ?? '')?.[1];
      const [, , key, , length] = id;
      if (type !== undefined && typeof key === 'string' && count(length)) {
        return { type, key, length } as unknown as Pickled;
      }
    }
    throw this.#refused(this.#in.at, 'a storage of torch', 'another object from outside');
  }

  #named(name: string): Named {
    if (name === DICT || name === TENSOR || STORAGE.test(name)) return { named: name };
    throw this.#refused(this.#in.at, 'the names of tensors, storages and dictionaries', JSON.stringify(name));
  }

  /** Pairs into the dictionary below them. */
  #set(pairs: Pickled[]): void {
    const dictionary = this.#top();
    if (!(dictionary instanceof Map) || pairs.length % 2 !== 0)
      throw this.#in.broken('a dictionary and pairs');
    for (let i = 0; i < pairs.length; i += 2) dictionary.set(pairs[i]!, pairs[i + 1]!);
  }

  /** The list so far below the top. */
  #listAt(depth: number): Pickled[] {
    const list = this.#stack.at(-1 - depth);
    if (!Array.isArray(list)) throw this.#in.broken('a list');
    return list;
  }

  #marked(): Pickled[] {
    const values = this.#stack;
    const below = this.#below.pop();
    if (!below) throw this.#in.broken('a mark');
    this.#stack = below;
    return values;
  }

  #several(count: number): Pickled[] {
    if (this.#stack.length < count) throw this.#in.broken(`${count} values`);
    return this.#stack.splice(-count);
  }

  #pop(): Pickled {
    return this.#several(1)[0]!;
  }

  #top(): Pickled {
    if (this.#stack.length === 0) throw this.#in.broken('a value');
    return this.#stack.at(-1)!;
  }

  #recall(key: number): Pickled {
    const value = this.#memo.get(key);
    if (value === undefined) throw this.#in.broken(`a value remembered as ${key}`);
    return value;
  }

  #refused(at: number, expected: string, got: string): FileError {
    return new FileError('refused-pickle', {
      where: `${this.#name}: byte ${at}`,
      expected,
      got,
      hint: 'A pickle is a program; Cria reads those that hold nothing but tensors. Save the state_dict, or as safetensors.',
    });
  }
}

const count = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const counts = (value: unknown): value is number[] => Array.isArray(value) && value.every(count);
