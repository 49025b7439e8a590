/**
 * Reads and writes safetensors files as named float32 tensors. Reading is strict: what the format forbids is an
 * error with the tensor's name, never a guess. Writing is atomic and byte-identical to the reference
 * implementation for the same tensors. Format: https://github.com/huggingface/safetensors#format
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { type IoOptions, invalidFile, readFully, withFile, writeFileAtomic } from './file.js'
import {
  compareUtf8,
  type Dtype,
  ELEMENT_BYTES,
  type Entry,
  elementCount,
  encodeHeader,
  MAX_HEADER_BYTES,
  parseHeader,
} from './safetensors-header.js'

/** Row-major values; `data.length` is the product of `shape`. Convolutions are (O,I,H,W), inner products (O,I). */
export interface Tensor {
  shape: readonly number[]
  data: Float32Array
}

export type TensorMap = Map<string, Tensor>

export interface Safetensors {
  tensors: TensorMap
  metadata: Record<string, string>
}

/**
 * Reads every tensor as float32. F32 tensors are views of one buffer that holds the file's data (no copy);
 * F64, F16 and BF16 are converted, the last two exactly.
 *
 * @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ, GOOGLENET_ERR_INVALID_FILE; AbortError
 */
export async function readSafetensors(path: string, options: IoOptions = {}): Promise<Safetensors> {
  throwIfAborted(options.signal)
  return withFile(path, async (file, size) => {
    if (size < 8) throw invalidFile(path, `expected a safetensors file of at least 8 bytes, got ${size}`)
    const prefix = Buffer.alloc(8)
    await readFully(path, file, prefix, 0, options)
    const headerBytes = Number(prefix.readBigUInt64LE())
    if (headerBytes > MAX_HEADER_BYTES || headerBytes > size - 8) {
      const limit = Math.min(MAX_HEADER_BYTES, size - 8)
      const problem = `not a safetensors file, or truncated: header of ${headerBytes} bytes announced, at most ${limit} possible`
      throw invalidFile(path, problem)
    }
    const header = new Uint8Array(headerBytes)
    await readFully(path, file, header, 8, options)
    const { entries, metadata } = parseHeader(path, header, size - 8 - headerBytes)

    // A buffer of its own puts the data at offset 0, so that F32 views are aligned whatever the header's length.
    const data = new ArrayBuffer(size - 8 - headerBytes)
    await readFully(path, file, new Uint8Array(data), 8 + headerBytes, options)
    const tensors: TensorMap = new Map()
    for (const { name, dtype, shape, begin, end } of entries) {
      throwIfAborted(options.signal)
      tensors.set(name, { shape, data: await toFloat32(data, begin, end, dtype) })
    }
    return { tensors, metadata }
  })
}

/**
 * Writes float32 tensors sorted by name, atomically (see writeFileAtomic). The values are read while the file is
 * written: they must not change until the promise settles.
 *
 * @throws GOOGLENET_ERR_INVALID_ARGUMENT when a shape and its data disagree; GOOGLENET_ERR_FILE_WRITE; AbortError
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Record<string, string> = {},
  options: IoOptions = {},
): Promise<void> {
  const names = [...tensors.keys()].sort(compareUtf8)
  const entries: Entry[] = []
  const chunks: Uint8Array[] = []
  let position = 0
  for (const name of names) {
    const { shape, data } = tensors.get(name) as Tensor
    if (name === '__metadata__' || data.length !== elementCount(shape)) {
      const problem =
        name === '__metadata__'
          ? 'this name is reserved by the safetensors format'
          : `shape [${shape.join(', ')}] needs ${elementCount(shape)} values, got ${data.length}`
      throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `tensor '${name}': ${problem}`)
    }
    const end = position + data.byteLength
    entries.push({ name, dtype: 'F32', shape: [...shape], begin: position, end })
    chunks.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    position = end
  }
  await writeFileAtomic(path, [encodeHeader(entries, metadata), ...chunks], options)
}

/** Elements converted between two turns of the event loop: about a millisecond. */
const SLICE = 1 << 19

async function toFloat32(buffer: ArrayBuffer, begin: number, end: number, dtype: Dtype): Promise<Float32Array> {
  const width = ELEMENT_BYTES[dtype]
  const length = (end - begin) / width
  if (begin % width !== 0) return toFloat32(buffer.slice(begin, end), 0, end - begin, dtype)
  if (dtype === 'F32') return new Float32Array(buffer, begin, length)
  const dst = new Float32Array(length)
  for (let from = 0; from < length; from += SLICE) {
    if (from > 0) await nextTurn()
    const count = Math.min(SLICE, length - from)
    const at = begin + from * width
    if (dtype === 'F64') dst.set(new Float64Array(buffer, at, count), from)
    else widen(new Uint16Array(buffer, at, count), new Uint32Array(dst.buffer, from * 4, count), dtype)
  }
  return dst
}

/** 16-bit patterns to the float32 patterns of the same values. */
function widen(src: Uint16Array, dst: Uint32Array, dtype: 'F16' | 'BF16'): void {
  if (dtype === 'BF16') {
    for (let i = 0; i < src.length; i++) dst[i] = (src[i] as number) << 16
  } else {
    halfTable ??= Uint32Array.from({ length: 65536 }, (_, half) => halfToFloat32Bits(half))
    for (let i = 0; i < src.length; i++) dst[i] = halfTable[src[i] as number] as number
  }
}

let halfTable: Uint32Array | undefined

/** IEEE 754 binary16 to binary32, subnormals, infinities and NaN payloads included. */
function halfToFloat32Bits(half: number): number {
  const sign = (half & 0x8000) << 16
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return (sign | 0x7f800000 | (fraction << 13)) >>> 0
  if (exponent > 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0
  if (fraction === 0) return sign >>> 0
  const shift = Math.clz32(fraction) - 21
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13)) >>> 0
}
