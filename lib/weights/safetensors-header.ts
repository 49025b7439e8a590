/**
 * The header of a safetensors file as plain data: strict parsing, and writing as the reference implementation
 * writes it. No I/O. Layout: 8 bytes little-endian header length N, N bytes of JSON, then the tensors' bytes.
 * Rules: https://github.com/huggingface/safetensors#format (contiguous, no holes, unique names).
 */
import { GoogLeNetError } from '../errors.js'
import { invalidFile } from './file.js'

/** Bytes per element of the types that can be weights. */
export const ELEMENT_BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2 } as const
export type Dtype = keyof typeof ELEMENT_BYTES

/** One tensor: bytes [begin, end) counted from the end of the header. */
export interface Entry {
  name: string
  dtype: Dtype
  shape: number[]
  begin: number
  end: number
}

export interface Header {
  entries: Entry[]
  metadata: Record<string, string>
}

/** The reference implementation's limit, which keeps a random 8-byte prefix from allocating terabytes. */
export const MAX_HEADER_BYTES = 100_000_000

/**
 * Parses and validates the JSON of a header.
 *
 * @param dataBytes size of the file after the header, which the tensors must fill exactly
 * @throws GOOGLENET_ERR_INVALID_FILE that names the tensor, what was expected and what came
 */
export function parseHeader(path: string, bytes: Uint8Array, dataBytes: number): Header {
  const json = parseJson(path, bytes)
  const { __metadata__: metadata = {}, ...tensors } = json
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw invalidFile(path, 'safetensors __metadata__ must be an object of strings')
  }
  const entries = Object.entries(tensors).map(([name, info]) => parseEntry(path, name, info))
  checkLayout(path, entries, dataBytes)
  return { entries, metadata: metadata as Record<string, string> }
}

/**
 * The length prefix and the JSON, padded with spaces so that the data starts on a multiple of 8 bytes.
 * Entries are written in the order given.
 */
export function encodeHeader(entries: readonly Entry[], metadata: Record<string, string>): Buffer {
  const fields = entries.map(({ name, dtype, shape, begin, end }) => {
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`
  })
  const keys = Object.keys(metadata).sort(compareUtf8)
  if (keys.length > 0) {
    const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`)
    fields.unshift(`"__metadata__":{${pairs.join(',')}}`)
  }
  const json = Buffer.from(`{${fields.join(',')}}`)
  const length = Math.ceil(json.byteLength / 8) * 8
  if (length > MAX_HEADER_BYTES) {
    const message = `safetensors header of ${length} bytes: at most ${MAX_HEADER_BYTES} can be read back`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', message)
  }
  const header = Buffer.alloc(8 + length, ' ')
  header.writeBigUInt64LE(BigInt(length))
  json.copy(header, 8)
  return header
}

/** Orders names by their UTF-8 bytes, as the reference implementation does; JS compares UTF-16 units. */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Product of the dimensions; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1)
}

function parseJson(path: string, bytes: Uint8Array): Record<string, unknown> {
  let text: string
  let json: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    json = JSON.parse(text)
  } catch (error) {
    throw invalidFile(path, `safetensors header is not UTF-8 JSON (${(error as Error).message})`, error)
  }
  if (!isObject(json)) throw invalidFile(path, 'safetensors header must be a JSON object of tensors')
  const duplicate = findDuplicateKey(text)
  if (duplicate !== undefined) throw invalidFile(path, `safetensors header lists '${duplicate}' twice`)
  return json
}

function parseEntry(path: string, name: string, info: unknown): Entry {
  const problem = (text: string) => invalidFile(path, `tensor '${name}': ${text}`)
  if (!isObject(info)) throw problem('expected an object with dtype, shape and data_offsets')
  const { dtype, shape, data_offsets: offsets } = info
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    const hint = name.endsWith('num_batches_tracked')
      ? '; this is a batch-normalised network, not the Caffe GoogLeNet of this package'
      : ''
    throw problem(`expected dtype ${Object.keys(ELEMENT_BYTES).join(', ')}, got ${JSON.stringify(dtype)}${hint}`)
  }
  if (!isCounts(shape)) throw problem(`expected a shape of whole numbers >= 0, got ${JSON.stringify(shape)}`)
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw problem(`expected data_offsets [begin, end], got ${JSON.stringify(offsets)}`)
  }
  const [begin = 0, end = 0] = offsets
  const expected = elementCount(shape) * ELEMENT_BYTES[dtype as Dtype]
  if (end - begin !== expected) {
    throw problem(`${dtype} [${shape.join(', ')}] needs ${expected} bytes, data_offsets cover ${end - begin}`)
  }
  return { name, dtype: dtype as Dtype, shape, begin, end }
}

function checkLayout(path: string, entries: Entry[], dataBytes: number): void {
  let position = 0
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position) {
      const what = begin > position ? 'leaves a hole' : 'overlaps another tensor'
      throw invalidFile(path, `tensor '${name}' ${what}: expected to begin at byte ${position}, got ${begin}`)
    }
    position = end
  }
  if (position !== dataBytes) {
    const what = position > dataBytes ? 'the file is truncated' : 'the file has bytes that no tensor owns'
    throw invalidFile(path, `${what}: the tensors need ${position} bytes after the header, there are ${dataBytes}`)
  }
}

/** JSON.parse keeps the last of two equal keys in silence; `text` is known to be valid JSON here. */
function findDuplicateKey(text: string): string | undefined {
  const scopes: Set<string>[] = []
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '{') scopes.push(new Set())
    else if (char === '}') scopes.pop()
    else if (char === '"') {
      const start = i
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++
      let next = i + 1
      while (next < text.length && ' \t\r\n'.includes(text[next] as string)) next++
      if (text[next] !== ':') continue
      const key = JSON.parse(text.slice(start, i + 1)) as string
      const scope = scopes.at(-1)
      if (scope?.has(key)) return key
      scope?.add(key)
    }
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)
}
