/** A calibration in a file: it comes back, stays apart from the weights, and damage is named. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Calibration } from '../../lib/weights/calibration.js'
import { loadModelFile, saveModel } from '../../lib/weights/checkpoint.js'
import { readSafetensors, type TensorMap, writeSafetensors } from '../../lib/weights/safetensors.js'
import { expectError, expectSameTensors, tensor, useTemporaryFolder } from './helpers.js'

const folder = useTemporaryFolder()
const file = () => join(folder(), 'model.safetensors')

const weights: TensorMap = new Map([['conv1/7x7_s2.weight', tensor([2, 3, 1, 1], (i) => i / 3)]])
const model = {
  ...{ classes: 2, inputSize: 224, width: 1, auxiliary: true, block: 'reduced' as const, seed: 1 },
  dropout: { main: 0.4, auxiliary: 0.7 },
}
const calibration: Calibration = {
  ...{ method: 'percentile', percentile: 99.9, images: 300 },
  blobs: new Map([
    ['conv1/7x7_s2', { range: Math.fround(1234.567), mean: Float32Array.of(0, 1 / 3) }],
    ['inception_3a/1x1', { range: 2 ** -100, mean: Float32Array.of(7) }],
  ]),
}

it('comes back beside the weights', async () => {
  await saveModel(file(), { weights, model, calibration })
  const got = await loadModelFile(file())
  expectSameTensors(got.weights, weights)
  expect(got.calibration).toEqual(calibration)
})

it('is two tensors a blob and a line of metadata', async () => {
  await saveModel(file(), { weights, model, calibration })
  const { tensors, metadata } = await readSafetensors(file())
  expect([...tensors.keys()].filter((name) => name.startsWith('calibration/'))).toEqual([
    'calibration/conv1/7x7_s2.mean',
    'calibration/conv1/7x7_s2.range',
    'calibration/inception_3a/1x1.mean',
    'calibration/inception_3a/1x1.range',
  ])
  expect(JSON.parse(metadata.calibration!)).toEqual({ method: 'percentile', percentile: 99.9, images: 300 })
})

it('without one the file is as before', async () => {
  await saveModel(file(), { weights, model })
  const { tensors, metadata } = await readSafetensors(file())
  expect([[...tensors.keys()], Object.keys(metadata).sort()]).toEqual([[...weights.keys()], ['format', 'model']])
  expect((await loadModelFile(file())).calibration).toBeUndefined()
})

describe('damage', () => {
  const name = 'calibration/conv1/7x7_s2'
  const nothing = new Map()
  it.each<[string, TensorMap, readonly string[], string]>([
    ['a range of 0', new Map([[`${name}.range`, tensor([1], () => 0)]]), [], 'expected one value above 0, got [1] 0'],
    ['a range that is no number', new Map([[`${name}.range`, tensor([1], () => Number.NaN)]]), [], 'got [1] NaN'],
    ['two ranges', new Map([[`${name}.range`, tensor([2])]]), [], 'got [2] 0, 1'],
    ['means of another shape', new Map([[`${name}.mean`, tensor([2, 1])]]), [], 'expected the means of its channels'],
    ['no range', nothing, [`${name}.range`], `${name}.range: expected one value above 0, got none`],
    ['no means', nothing, [`${name}.mean`], `${name}.mean: expected the means of its channels, got none`],
    ['a stranger', new Map([['calibration/x.scale', tensor([1])]]), [], 'calibration/x.scale.range: expected'],
  ])('%s', async (_, changed, removed, message) => {
    await saveModel(file(), { weights, model, calibration })
    const { tensors, metadata } = await readSafetensors(file())
    for (const [key, value] of changed) tensors.set(key, value)
    for (const key of removed) tensors.delete(key)
    await writeSafetensors(file(), tensors, metadata)
    const error = await expectError(loadModelFile(file()), 'INVALID_FILE', /model\.safetensors: /)
    expect(error.message).toContain(message)
  })

  it.each([
    ['no JSON', '{', 'is not JSON'],
    ['an unknown method', JSON.stringify({ method: 'mean', images: 3 }), "metadata 'calibration'"],
    ['no images', JSON.stringify({ method: 'minmax', images: 0 }), "metadata 'calibration'"],
  ])('metadata: %s', async (_, text, message) => {
    await saveModel(file(), { weights, model, calibration })
    const { tensors, metadata } = await readSafetensors(file())
    await writeSafetensors(file(), tensors, { ...metadata, calibration: text })
    const error = await expectError(loadModelFile(file()), 'INVALID_FILE', /model\.safetensors: /)
    expect(error.message).toContain(message)
  })
})
