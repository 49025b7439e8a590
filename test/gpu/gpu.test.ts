/**
 * The CUDA backend on a real GPU, `npm run test:gpu`: the operations suite against the float64 reference and against the
 * processor, whole networks against the processor and Caffe. Skipped, with the reason, where there is none.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import { testNetworks } from '../cuda/networks.js'
import { drawPhotos, testPhotos } from '../cuda/photos.js'
import { cases } from '../ops/cases.js'
import { relativeError } from '../ops/compare.js'
import { expectParity, solveCase } from '../ops/parity.js'
import { NativeProcess, type Place } from '../ops/process.js'
import { useFolder } from '../train/pictures.js'
import { gpu } from './device.js'
import { tolerances } from './tolerances.js'

const place: Place = { env: {}, options: { device: 'cuda' } }

describe.skipIf(!gpu.available)(`GPU: ${gpu.description}${gpu.available ? '' : ' (skipped)'}`, () => {
  let native: NativeProcess
  let processor: NativeProcess
  beforeAll(() => {
    native = new NativeProcess(place)
    processor = new NativeProcess()
  })
  afterAll(() => Promise.all([native, processor].map((child) => child[Symbol.asyncDispose]())))

  test.each(cases)('$name', { timeout: 120_000 }, (entry) => expectParity(native, entry))

  test.each(cases)("$name: the processor's gradients", { timeout: 120_000 }, async (entry) => {
    const { rows, parameters, inputs, labels, gradients, inputGradients } = solveCase(entry).problem
    const given = { rows, parameters, inputs, ...(labels.length > 0 && { labels }) }
    const request = { ...given, gradients, inputGradients, training: true, outputs: [], options: { exact: true } }
    const [actual, expected] = [await native.run(request), await processor.run(request)]
    const limit = entry.tolerance ?? tolerances.f32.operation
    for (const [name, { data }] of Object.entries(expected.parameterGradients))
      expect(relativeError(actual.parameterGradients[name]!.data, data), name).toBeLessThan(limit)
    for (const [name, { data }] of Object.entries(expected.inputGradients))
      expect(relativeError(actual.inputGradients[name]!.data, data), name).toBeLessThan(limit)
  })

  testNetworks(place, undefined, 20)

  const photos = useFolder()
  beforeAll(() => drawPhotos(photos.path))
  testPhotos({}, photos)

  test('which way each convolution goes', async () => {
    const { kernels } = await native.profile({ rows: googlenet(), batch: 64, training: true })
    for (const { name, direction, implementation, milliseconds } of kernels)
      console.log(`${milliseconds.toFixed(3)} ms  ${name}, ${direction}: ${implementation}`)
    expect(kernels.length).toBeGreaterThan(200)
  })
})
