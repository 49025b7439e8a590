/** The safetensors reader and writer: round trips, layout, every corruption, the published weights. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSafetensors, type Tensor, type TensorMap, writeSafetensors } from '../../lib/weights/safetensors.js'
import {
  dataFolder,
  expectError,
  expectSameTensors,
  generator,
  needsData,
  noData,
  tensor,
  useTemporaryFolder,
} from './helpers.js'

const folder = useTemporaryFolder()
const file = () => join(folder(), 'weights.safetensors')

/** A file from a header (object or raw text) and data bytes. */
function pack(header: unknown, data: Uint8Array = new Uint8Array()): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([prefix, json, data])
}

describe('round trip', () => {
  const ALPHABET = ['a', 'Z', '/', '.', '_', '"', '\\', '\n', '\u0001', 'é', '𝄞', '\uffee', ' ', '{', '}', ':', '日']

  it.each(Array.from({ length: 30 }, (_, seed) => seed))('random names, shapes and bits, seed %i', async (seed) => {
    const random = generator(seed)
    const pick = (n: number) => Math.floor(random() * n)
    const word = () => Array.from({ length: pick(12) }, () => ALPHABET[pick(ALPHABET.length)]).join('')
    const tensors: TensorMap = new Map()
    for (let i = pick(12); i > 0; i--) {
      const shape = Array.from({ length: pick(5) }, () => pick(6))
      const { data } = tensor(shape)
      new Uint32Array(data.buffer).forEach((_, at, bits) => {
        bits[at] = random() * 2 ** 32
      })
      tensors.set(word(), { shape, data })
    }
    const metadata = Object.fromEntries(Array.from({ length: pick(4) }, () => [word(), word()]))
    await writeSafetensors(file(), tensors, metadata)
    const back = await readSafetensors(file())
    expectSameTensors(back.tensors, tensors)
    expect(back.metadata).toEqual(metadata)
  })

  it('writes the reference layout: names sorted by UTF-8, header padded to 8 bytes', async () => {
    const tensors = new Map([
      ['𝄞', tensor([1])],
      ['\uffee', tensor([])],
      ['b', tensor([2])],
      ['a', tensor([0, 3])],
    ])
    await writeSafetensors(file(), tensors, { z: '1', format: 'x' })
    const bytes = await readFile(file())
    const length = Number(bytes.readBigUInt64LE())
    expect(length % 8).toBe(0)
    expect(bytes.toString('utf8', 8, 8 + length).trimEnd()).toBe(
      '{"__metadata__":{"format":"x","z":"1"},"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},' +
        '"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},' +
        '"\uffee":{"dtype":"F32","shape":[],"data_offsets":[8,12]},' +
        '"𝄞":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}',
    )
  })

  it('shares one buffer between F32 tensors', async () => {
    await writeSafetensors(
      file(),
      new Map([
        ['a', tensor([3])],
        ['b', tensor([2])],
      ]),
    )
    const { tensors } = await readSafetensors(file())
    expect(tensors.get('a')?.data.buffer).toBe(tensors.get('b')?.data.buffer)
  })

  it('writes views into a larger buffer', async () => {
    const arena = Float32Array.from({ length: 10 }, (_, i) => i)
    await writeSafetensors(file(), new Map([['a', { shape: [3], data: arena.subarray(4, 7) }]]))
    expect((await readSafetensors(file())).tensors.get('a')?.data).toEqual(Float32Array.of(4, 5, 6))
  })

  it('refuses a shape that does not fit its data, and the reserved name', async () => {
    const wrong: TensorMap = new Map([['a', { shape: [2, 2], data: new Float32Array(3) }]])
    await expectError(writeSafetensors(file(), wrong), 'INVALID_ARGUMENT', /'a'.*\[2, 2\] needs 4 values, got 3/)
    const reserved = new Map([['__metadata__', tensor([1])]])
    await expectError(writeSafetensors(file(), reserved), 'INVALID_ARGUMENT', /reserved/)
  })
})

describe('other element types', () => {
  async function read(dtype: string, bytes: Uint8Array, count: number): Promise<Float32Array> {
    await writeFile(file(), pack({ x: { dtype, shape: [count], data_offsets: [0, bytes.byteLength] } }, bytes))
    return ((await readSafetensors(file())).tensors.get('x') as Tensor).data
  }

  it('F16: every one of the 65536 patterns', async () => {
    const got = await read('F16', new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer), 65536)
    for (let half = 0; half < 65536; half++) {
      const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023]
      const finite = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24
      const expected = exponent === 31 ? (fraction ? Number.NaN : sign * Infinity) : sign * finite
      if (!Object.is(got[half], expected)) expect.fail(`0x${half.toString(16)}: ${got[half]}, expected ${expected}`)
    }
  })

  it('BF16 is the upper half of a float32', async () => {
    const values = Float32Array.of(1, -2.5, 0, -0, Infinity, 2 ** -126, 3.140625)
    const upper = new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1)
    expect(await read('BF16', new Uint8Array(upper.buffer), values.length)).toEqual(values)
  })

  it('F64 is rounded to float32', async () => {
    const values = Float64Array.of(Math.PI, -1e-50, 1e300)
    expect(await read('F64', new Uint8Array(values.buffer), 3)).toEqual(Float32Array.from(values))
  })

  it('F32 and F64 that begin at an odd multiple of 2 bytes', async () => {
    const data = Buffer.alloc(2 + 4 + 8)
    data.writeFloatLE(1.5, 2)
    data.writeDoubleLE(2.5, 6)
    const header = {
      half: { dtype: 'F16', shape: [1], data_offsets: [0, 2] },
      single: { dtype: 'F32', shape: [1], data_offsets: [2, 6] },
      double: { dtype: 'F64', shape: [1], data_offsets: [6, 14] },
    }
    await writeFile(file(), pack(header, data))
    const { tensors } = await readSafetensors(file())
    expect([...tensors].map(([name, { data: values }]) => [name, values[0]])).toEqual([
      ['half', 0],
      ['single', 1.5],
      ['double', 2.5],
    ])
  })

  it('converts more than one slice', async () => {
    const count = (1 << 19) + 3
    const got = await read('BF16', new Uint8Array(new Uint16Array(count).fill(0x3f80).buffer), count)
    expect(got.every((value) => value === 1)).toBe(true)
  })
})

describe('invalid files', () => {
  const f32 = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({ dtype, shape, data_offsets: offsets })
  const cases: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /at least 8 bytes, got 0/],
    ['shorter than the prefix', Buffer.alloc(7), /got 7/],
    ['header longer than the file', pack({ a: f32([1], [0, 4]) }).subarray(0, 20), /announced, at most 12 possible/],
    ['random bytes', Buffer.from('\x89PNG\r\n\x1a\n and more'), /not a safetensors file/],
    ['header over the limit', Buffer.concat([Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]), Buffer.alloc(9)]), /4294967296/],
    ['header not JSON', pack('{"a":'), /not UTF-8 JSON/],
    [
      'header not UTF-8',
      Buffer.concat([
        pack('{"aaaa":1}').subarray(0, 10),
        Buffer.from([0xff, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x20, 0x20]),
      ]),
      /not UTF-8 JSON/,
    ],
    ['header an array', pack('[]'), /must be a JSON object/],
    ['tensor no object', pack({ a: 3 }), /'a': expected an object/],
    ['metadata not strings', pack({ __metadata__: { a: 1 } }), /object of strings/],
    [
      'unknown dtype',
      pack({ a: f32([1], [0, 4], 'F31') }, Buffer.alloc(4)),
      /'a': expected dtype F64, F32, F16, BF16, got "F31"/,
    ],
    [
      'dtype of another variant',
      pack({ 'bn.num_batches_tracked': f32([], [0, 8], 'I64') }, Buffer.alloc(8)),
      /batch-normalised/,
    ],
    ['dtype from the prototype', pack({ a: f32([1], [0, 4], 'toString') }, Buffer.alloc(4)), /expected dtype/],
    ['negative shape', pack({ a: f32([-1], [0, 4]) }, Buffer.alloc(4)), /shape of whole numbers/],
    ['fractional shape', pack({ a: f32([0.5], [0, 2]) }, Buffer.alloc(2)), /shape of whole numbers/],
    ['offsets missing', pack({ a: { dtype: 'F32', shape: [1] } }), /data_offsets \[begin, end\], got undefined/],
    ['three offsets', pack({ a: f32([1], [0, 4, 4]) }, Buffer.alloc(4)), /data_offsets \[begin, end\]/],
    [
      'size not that of the shape',
      pack({ a: f32([2, 3], [0, 20]) }, Buffer.alloc(20)),
      /\[2, 3\] needs 24 bytes, data_offsets cover 20/,
    ],
    ['offsets reversed', pack({ a: f32([1], [4, 0]) }, Buffer.alloc(4)), /cover -4/],
    [
      'a shape that overflows',
      pack({ a: f32([2 ** 40, 2 ** 40], [0, 4]) }, Buffer.alloc(4)),
      /needs 4.8\d+e\+24 bytes/,
    ],
    [
      'a hole',
      pack({ a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, Buffer.alloc(12)),
      /'b' leaves a hole: expected to begin at byte 4, got 8/,
    ],
    ['an overlap', pack({ a: f32([2], [0, 8]), b: f32([1], [4, 8]) }, Buffer.alloc(8)), /'b' overlaps/],
    [
      'truncated data',
      pack({ a: f32([2], [0, 8]) }, Buffer.alloc(7)),
      /truncated: the tensors need 8 bytes after the header, there are 7/,
    ],
    ['trailing bytes', pack({ a: f32([1], [0, 4]) }, Buffer.alloc(5)), /no tensor owns/],
    [
      'a name twice',
      pack(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061" :{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        Buffer.alloc(4),
      ),
      /lists 'a' twice/,
    ],
    [
      'a field twice',
      pack('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', Buffer.alloc(4)),
      /lists 'dtype' twice/,
    ],
  ]
  it.each(cases)('%s', async (_name, bytes, message) => {
    await writeFile(file(), bytes)
    const error = await expectError(readSafetensors(file()), 'INVALID_FILE', message)
    expect(error.message.startsWith(file())).toBe(true)
  })

  it('any truncation of a good file', async () => {
    await writeSafetensors(
      file(),
      new Map([
        ['a', tensor([4])],
        ['b', tensor([2, 2])],
      ]),
      { k: 'v' },
    )
    const bytes = await readFile(file())
    for (let length = 0; length < bytes.length; length += 7) {
      await writeFile(file(), bytes.subarray(0, length))
      await expectError(readSafetensors(file()), 'INVALID_FILE', /./)
    }
  })
})

describe.skipIf(noData)(`published weights ${needsData}`, () => {
  it('reads 116 tensors with 6,998,552 parameters, and writes them back unchanged', async () => {
    const { tensors, metadata } = await readSafetensors(join(dataFolder, 'weights/bvlc_googlenet.safetensors'))
    expect(tensors.size).toBe(116)
    expect([...tensors.values()].reduce((sum, { data }) => sum + data.length, 0)).toBe(6_998_552)
    expect(tensors.get('conv1/7x7_s2.weight')?.shape).toEqual([64, 3, 7, 7])
    expect(metadata.layout).toBe('OIHW')
    await writeSafetensors(file(), tensors, metadata)
    const back = await readSafetensors(file())
    expectSameTensors(back.tensors, tensors)
    expect(back.metadata).toEqual(metadata)
  })
})
