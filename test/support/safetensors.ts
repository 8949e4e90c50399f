import { readFileSync } from 'node:fs';

interface Entry {
  dtype: 'F32' | 'I32';
  data_offsets: [number, number];
}

/** The F32 and I32 tensors of a safetensors file, by name. @param file a path, or its bytes */
export function readSafetensors(file: string | Uint8Array): Map<string, Float32Array | Int32Array> {
  const bytes = typeof file === 'string' ? readFileSync(file) : Buffer.from(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, Entry>;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return new Map(
    tensors.map(([name, { dtype, data_offsets }]) => {
      const [from, to] = data_offsets.map(offset => 8 + length + offset);
      const data = Uint8Array.from(bytes.subarray(from, to)).buffer;
      return [name, dtype === 'F32' ? new Float32Array(data) : new Int32Array(data)];
    }),
  );
}
