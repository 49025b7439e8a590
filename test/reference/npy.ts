/** Reads .npy files of little-endian f32 in C order: all that the golden files use. */
import { readFileSync } from 'node:fs'

export interface NpyArray {
  shape: number[]
  data: Float32Array
}

export function readNpy(path: string): NpyArray {
  const bytes = readFileSync(path)
  const major = bytes[6]!
  const headerStart = major === 1 ? 10 : 12
  const headerEnd = headerStart + (major === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8))
  const header = bytes.toString('latin1', headerStart, headerEnd)
  if (!/'descr': *'<f4'/.test(header) || !/'fortran_order': *False/.test(header)) {
    throw new Error(`${path}: expected little-endian f32 in C order, found ${header.trim()}`)
  }
  const shape = [.../'shape': *\(([^)]*)\)/.exec(header)![1]!.matchAll(/\d+/g)].map((m) => Number(m[0]))
  const count = shape.reduce((a, b) => a * b, 1)
  if (bytes.length - headerEnd !== 4 * count) throw new Error(`${path}: ${bytes.length} bytes for ${shape.join('x')}`)
  return { shape, data: new Float32Array(Uint8Array.from(bytes.subarray(headerEnd)).buffer) }
}
