/**
 * Single layers against outputs that Caffe itself computed (OpenCV's test data): the reference first, which settles
 * the conventions, then the native kernels. blob.npy is the input of all of them.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { LayerRow } from '../../lib/model/layer.js'
import { readCaffemodel } from '../../lib/weights/caffemodel.js'
import { dataAbsent, dataPath, skipReason } from '../golden/data.js'
import { runReference } from '../reference/network.js'
import { type NpyArray, readNpy } from '../reference/npy.js'
import { type Message, parsePrototxt, rowOf } from '../reference/prototxt.js'
import { relativeError } from './compare.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from './process.js'

const names = [
  'layer_lrn_channels',
  'layer_lrn_spatial',
  'layer_pooling_max',
  'layer_pooling_ave',
  'layer_convolution',
  'layer_inner_product',
  'layer_softmax',
]

interface Golden {
  rows: LayerRow[]
  input: NpyArray
  parameters: Record<string, { shape: readonly number[]; data: Float32Array }>
  expected: NpyArray
}

const layerPath = (file: string) => dataPath(`golden/opencv_golden/layers/${file}`)

async function readGolden(name: string): Promise<Golden> {
  const net = parsePrototxt(readFileSync(layerPath(`${name}.prototxt`), 'utf8'))
  const row = rowOf(net.layer![0] as Message)!
  const input = asImages(row, readNpy(layerPath('blob.npy')))
  const expected = asImages(row, readNpy(layerPath(`${name}.npy`)))
  const [, channels = 1, height = 1, width = 1] = input.shape
  const weighted = row.op === 'conv' || row.op === 'linear'
  return {
    rows: [{ op: 'input', name: 'input', channels, height, width }, row],
    input,
    parameters: weighted ? Object.fromEntries((await readCaffemodel(layerPath(`${name}.caffemodel`))).tensors) : {},
    expected,
  }
}

/** The inner product has axis 3: every line of the blob is an image of its own to a row of ours. */
function asImages(row: LayerRow, { shape, data }: NpyArray): NpyArray {
  return row.op === 'linear' ? { shape: [data.length / shape[3]!, shape[3]!, 1, 1], data } : { shape, data }
}

describe.skipIf(dataAbsent)(`layers agree with Caffe${skipReason}`, () => {
  test.each(names)('reference: %s', async (name) => {
    const { rows, input, parameters, expected } = await readGolden(name)
    const values = Object.fromEntries(Object.entries(parameters).map(([key, { data }]) => [key, data]))
    const { blobs } = runReference(rows, values, { input }, [], { training: false })
    expect(blobs.output!.data).toHaveLength(expected.data.length)
    expect(relativeError(blobs.output!.data, expected.data)).toBeLessThan(1e-6)
  })

  test.skipIf(nativeAbsent).each(names)(`native: %s${nativeSkipReason}`, async (name) => {
    const { rows, input, parameters, expected } = await readGolden(name)
    await using native = new NativeProcess()
    const { outputs } = await native.run({ rows, parameters, inputs: { input }, training: false, outputs: ['output'] })
    expect(outputs.output!.data).toHaveLength(expected.data.length)
    expect(relativeError(outputs.output!.data, expected.data)).toBeLessThan(1e-6)
  })
})
