// The values of keys, in whatever type the file has them.

import {
  ARRAY, BOOL, F32, I16, I32, I64, I8, STRING, U16, U32, U64, U8, typeOfKey, valueOfKey,
} from './gguf';
import { isText } from './text';

/** Whether values of a type are one number. */
export function isNumber(type: u32): bool {
  return type != BOOL && type != STRING && type != ARRAY;
}

/** The number of a key, in the type that it has. */
export function numberOfKey(key: i32): f64 {
  const value = valueOfKey(key);
  switch (typeOfKey(key)) {
    case U8: return load<u8>(value);
    case I8: return load<i8>(value);
    case U16: return load<u16>(value);
    case I16: return load<i16>(value);
    case U32: return load<u32>(value);
    case I32: return load<i32>(value);
    case F32: return load<f32>(value);
    case U64: return <f64>load<u64>(value);
    case I64: return <f64>load<i64>(value);
    default: return load<f64>(value);
  }
}

/** Whether a key's value is the text. */
export function keySays(key: i32, ascii: string): bool {
  const value = valueOfKey(key);
  return typeOfKey(key) == STRING && load<u64>(value) == ascii.length && isText(value + 8, ascii.length, ascii);
}
