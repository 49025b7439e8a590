/**
 * The .caffemodel reader on files built by hand (V1 and V2 layers, both ways of spelling shapes), the writer
 * through the reader and byte by byte, damage, and the published weights.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type CaffeLayer, readCaffemodel, writeCaffemodel } from '../../lib/weights/caffemodel.js'
import { readSafetensors, type TensorMap } from '../../lib/weights/safetensors.js'
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
import { bytes, integer, packedDoubles, packedFloats, unpackedFloats, varint } from './protobuf.js'

const folder = useTemporaryFolder()
const file = () => join(folder(), 'net.caffemodel')

const V2_LAYER = 100
const V1_LAYERS = 2
const range = (n: number) => Array.from({ length: n }, (_, i) => i + 0.5)
/** BlobProto with num, channels, height, width. */
const legacyBlob = (shape: number[], values: Buffer) =>
  Buffer.concat([...shape.map((d, i) => integer(i + 1, d)), values])
/** BlobProto with a BlobShape. */
const shapedBlob = (shape: number[], values: Buffer) =>
  Buffer.concat([values, bytes(7, bytes(1, ...shape.map(varint)))])
const v2 = (name: string, type: string, ...blobs: Buffer[]) =>
  bytes(
    V2_LAYER,
    bytes(1, name),
    bytes(2, type),
    bytes(3, 'data'),
    bytes(4, name),
    ...blobs.map((blob) => bytes(7, blob)),
  )
const v1 = (name: string, type: number, ...blobs: Buffer[]) =>
  bytes(
    V1_LAYERS,
    bytes(2, 'data'),
    bytes(3, name),
    bytes(4, name),
    integer(5, type),
    ...blobs.map((blob) => bytes(6, blob)),
  )

async function read(...parts: Buffer[]) {
  await writeFile(file(), Buffer.concat(parts))
  return readCaffemodel(file())
}

const expected: TensorMap = new Map([
  ['conv1/7x7_s2.weight', tensor([2, 3, 1, 2], (i) => i + 0.5)],
  ['conv1/7x7_s2.bias', tensor([2], (i) => i + 0.5)],
  ['loss3/classifier.weight', tensor([3, 4], (i) => i + 0.5)],
  ['loss3/classifier.bias', tensor([3], (i) => i + 0.5)],
])

describe('reading', () => {
  it('V1 layers with legacy 4-D blobs', async () => {
    const got = await read(
      bytes(1, 'GoogleNet'),
      v1('data', 5),
      v1(
        'conv1/7x7_s2',
        4,
        legacyBlob([2, 3, 1, 2], packedFloats(5, range(12))),
        legacyBlob([1, 1, 1, 2], packedFloats(5, range(2))),
      ),
      v1('relu', 18),
      v1(
        'loss3/classifier',
        14,
        legacyBlob([1, 1, 3, 4], packedFloats(5, range(12))),
        legacyBlob([1, 1, 1, 3], packedFloats(5, range(3))),
      ),
    )
    expect(got.name).toBe('GoogleNet')
    expectSameTensors(got.tensors, expected)
  })

  it('V2 layers with BlobShape, and double_data', async () => {
    const got = await read(
      v2(
        'conv1/7x7_s2',
        'Convolution',
        shapedBlob([2, 3, 1, 2], packedFloats(5, range(12))),
        shapedBlob([2], packedFloats(5, range(2))),
      ),
      v2('drop', 'Dropout'),
      v2(
        'loss3/classifier',
        'InnerProduct',
        shapedBlob([3, 4], packedDoubles(8, range(12))),
        shapedBlob([3], packedDoubles(8, range(3))),
      ),
    )
    expect(got.name).toBe('')
    expectSameTensors(got.tensors, expected)
  })

  it('inner products spelled (1,1,O,I), (O,I,1,1) and (O,C,H,W)', async () => {
    const shapes = [
      [1, 1, 3, 4],
      [3, 4, 1, 1],
      [3, 1, 2, 2],
      [3, 4],
    ]
    const layers = shapes.map((shape, i) => v2(`fc${i}`, 'InnerProduct', shapedBlob(shape, packedFloats(5, range(12)))))
    const { tensors } = await read(...layers)
    for (const { shape } of tensors.values()) expect(shape).toEqual([3, 4])
  })

  it('a 1x1 convolution with one output keeps its four dimensions', async () => {
    const { tensors } = await read(v2('c', 'Convolution', legacyBlob([1, 1, 1, 1], packedFloats(5, [7]))))
    expect(tensors.get('c.weight')?.shape).toEqual([1, 1, 1, 1])
  })

  it('floats that were not packed, and packed floats in several chunks', async () => {
    const { tensors } = await read(
      v2('a', 'Convolution', shapedBlob([2, 1, 1, 1], unpackedFloats(5, [1, 2]))),
      v2(
        'b',
        'Convolution',
        shapedBlob([2, 2, 1, 1], Buffer.concat([packedFloats(5, [3]), packedFloats(5, [4, 5, 6])])),
      ),
    )
    expect([...tensors.values()].map(({ data }) => [...data])).toEqual([
      [1, 2],
      [3, 4, 5, 6],
    ])
    const chunked = await read(
      v2('b', 'Scale', shapedBlob([3], Buffer.concat([packedFloats(5, [3]), packedFloats(5, [4, 5])]))),
    )
    expect(chunked.tensors.get('b.weight')?.data).toEqual(Float32Array.of(3, 4, 5))
  })

  it('further blobs of a layer get numbers', async () => {
    const blob = shapedBlob([1], packedFloats(5, [1]))
    const { tensors } = await read(v2('bn', 'BatchNorm', blob, blob, blob))
    expect([...tensors.keys()]).toEqual(['bn.weight', 'bn.bias', 'bn.blob2'])
  })

  it('skips fields it does not know', async () => {
    const unknown = Buffer.concat([integer(900, 5), bytes(901, 'x'), unpackedFloats(902, [1]), packedFloats(6, [9])])
    const blob = Buffer.concat([shapedBlob([1, 1, 1, 1], packedFloats(5, [1])), unknown])
    const { tensors } = await read(unknown, v2('c', 'Convolution', blob), integer(5, 1))
    expect(tensors.get('c.weight')?.data).toEqual(Float32Array.of(1))
  })
})

describe('invalid files', () => {
  const good = v2('conv1', 'Convolution', shapedBlob([2, 1, 1, 1], packedFloats(5, [1, 2])))
  const cases: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /no layer with weights/],
    ['no layers with blobs', Buffer.concat([bytes(1, 'net'), v2('relu', 'ReLU')]), /no layer with weights/],
    ['random bytes', Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1'), /not a binary Caffe NetParameter/],
    ['text prototxt', Buffer.from('name: "GoogleNet"\nlayer {\n'), /text prototxt/],
    ['HDF5 snapshot', Buffer.from('\x89HDF\r\n\x1a\n and more', 'latin1'), /HDF5/],
    [
      'too few values',
      v2('c', 'Convolution', shapedBlob([2, 1, 1, 1], packedFloats(5, [1]))),
      /'c\.weight': shape \[2, 1, 1, 1\] needs 2 values, got 1/,
    ],
    ['no values', v2('c', 'Convolution', shapedBlob([2, 1, 1, 1], Buffer.alloc(0))), /needs 2 values, got 0/],
    ['no shape', v2('c', 'Convolution', packedFloats(5, [1])), /needs 0 values, got 1/],
    [
      'half a float',
      v2('c', 'Convolution', shapedBlob([1, 1, 1, 1], bytes(5, Buffer.alloc(6)))),
      /not a binary|needs 1/,
    ],
    ['two layers of one name', Buffer.concat([good, good]), /two layers named 'conv1'/],
    ['V0 layers', bytes(V1_LAYERS, bytes(1, bytes(1, 'conv'))), /V0 layers.*upgrade_net_proto_binary/],
  ]
  it.each(cases)('%s', async (_name, content, message) => {
    const error = await expectError(read(content), 'INVALID_FILE', message)
    expect(error.message.startsWith(file())).toBe(true)
  })

  it('every truncation within a layer', async () => {
    for (let length = 1; length < good.length; length++) {
      await expectError(read(good.subarray(0, length)), 'INVALID_FILE', /not a binary Caffe NetParameter, or truncated/)
    }
  })

  it('a missing file, and an aborted read', async () => {
    await expectError(readCaffemodel(join(folder(), 'no')), 'FILE_NOT_FOUND', /no such file/)
    const aborted = readCaffemodel(file(), { signal: AbortSignal.abort() })
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('writing', () => {
  it('the bytes of one convolution and one inner product', async () => {
    const layers: CaffeLayer[] = [
      {
        name: 'c',
        type: 'Convolution',
        bottom: ['data'],
        top: ['c'],
        pad: 1,
        stride: 2,
        weight: tensor([2, 1, 3, 3]),
        bias: tensor([2]),
      },
      { name: 'f', type: 'InnerProduct', weight: tensor([2, 3]) },
    ]
    await writeCaffemodel(file(), 'net', layers)
    const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)
    const blob = (shape: number[], n: number) =>
      bytes(7, packedFloats(5, numbers(n)), bytes(7, bytes(1, ...shape.map(varint))))
    const convolution = [integer(1, 2), integer(2, 1), integer(3, 1), integer(4, 3), integer(5, 1), integer(6, 2)]
    const handMade = Buffer.concat([
      bytes(1, 'net'),
      bytes(
        100,
        bytes(1, 'c'),
        bytes(2, 'Convolution'),
        bytes(3, 'data'),
        bytes(4, 'c'),
        blob([2, 1, 3, 3], 18),
        blob([2], 2),
        bytes(106, ...convolution),
      ),
      bytes(100, bytes(1, 'f'), bytes(2, 'InnerProduct'), blob([2, 3], 6), bytes(117, integer(1, 2), integer(2, 0))),
    ])
    expect((await readFile(file())).toString('hex')).toBe(handMade.toString('hex'))
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('random layers come back, seed %i', async (seed) => {
    const random = generator(seed)
    const pick = (n: number) => 1 + Math.floor(random() * n)
    const layers: CaffeLayer[] = []
    const tensors: TensorMap = new Map()
    for (let i = pick(6); i > 0; i--) {
      const type = random() < 0.5 ? 'Convolution' : 'InnerProduct'
      const shape = type === 'Convolution' ? [pick(5), pick(5), pick(4), pick(4)] : [pick(5), pick(5)]
      const weight = tensor(shape, () => random() - 0.5)
      const bias = random() < 0.7 ? tensor([shape[0] as number], random) : undefined
      const name = `layer/é${i}`
      layers.push({ name, type, pad: pick(3), stride: pick(2), weight, ...(bias && { bias }) })
      tensors.set(`${name}.weight`, weight)
      if (bias) tensors.set(`${name}.bias`, bias)
    }
    await writeCaffemodel(file(), 'näme', layers)
    const got = await readCaffemodel(file())
    expect(got.name).toBe('näme')
    expectSameTensors(got.tensors, tensors)
  })

  it.each<[string, CaffeLayer, RegExp]>([
    [
      'rank',
      { name: 'c', type: 'Convolution', weight: tensor([2, 3]) },
      /'c': Convolution weight must have 4 dimensions, got \[2,3\]/,
    ],
    [
      'size',
      { name: 'f', type: 'InnerProduct', weight: { shape: [2, 2], data: new Float32Array(3) } },
      /does not hold 3 values/,
    ],
    [
      'bias',
      { name: 'f', type: 'InnerProduct', weight: tensor([2, 2]), bias: tensor([3]) },
      /bias must have 2 values, got 3/,
    ],
  ])('refuses a wrong %s', async (_name, layer, message) => {
    await expectError(writeCaffemodel(file(), 'n', [layer]), 'INVALID_ARGUMENT', message)
  })
})

describe.skipIf(noData)(`published weights ${needsData}`, () => {
  it('are bit-identical to the safetensors', async () => {
    const { tensors } = await readSafetensors(join(dataFolder, 'weights/bvlc_googlenet.safetensors'))
    const got = await readCaffemodel(join(dataFolder, 'weights/bvlc_googlenet_inference.caffemodel'))
    expect(got.name).toBe('GoogleNet')
    expectSameTensors(got.tensors, tensors)
  })

  it('legacy blobs written by Caffe itself', async () => {
    const layers = join(dataFolder, 'golden/opencv_golden/layers')
    const fc = await readCaffemodel(join(layers, 'layer_inner_product.caffemodel'))
    for (const [name, { shape }] of fc.tensors) expect(shape, name).toHaveLength(name.endsWith('.bias') ? 1 : 2)
    const conv = await readCaffemodel(join(layers, 'layer_convolution.caffemodel'))
    for (const [name, { shape }] of conv.tensors) expect(shape, name).toHaveLength(name.endsWith('.bias') ? 1 : 4)
    expect(fc.tensors.size).toBeGreaterThan(0)
    expect(conv.tensors.size).toBeGreaterThan(0)
  })
})
