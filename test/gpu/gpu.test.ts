/**
 * The CUDA backend on a real GPU, `npm run test:gpu`: in every precision the operations suite and whole networks against
 * the float64 reference, the processor and Caffe, recorded steps against told ones. Skipped, with the reason, where there
 * is no GPU; see device.ts.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import { DONE, inChild } from '../cuda/child.js'
import { testNetworks } from '../cuda/networks.js'
import { drawPhotos, testPhotos } from '../cuda/photos.js'
import { cases } from '../ops/cases.js'
import { relativeError } from '../ops/compare.js'
import { expectParity, solveCase } from '../ops/parity.js'
import { expectPrecision } from '../ops/precision.js'
import { makeProblem } from '../ops/problem.js'
import { NativeProcess, type NativeRunResult } from '../ops/process.js'
import { useFolder } from '../train/pictures.js'
import { gpu } from './device.js'
import { SANITIZER, sanitizerAbsent, sanitizerReason, under } from './sanitizer.js'
import { tolerances } from './tolerances.js'

const HOUR = 3_600_000
// cuDNN compiles the plans of a network for minutes.
vi.setConfig({ testTimeout: HOUR })

describe.skipIf(!gpu.available)(gpu.title('f32'), () => {
  const place = gpu.place('f32')
  let native: NativeProcess
  let processor: NativeProcess
  beforeAll(() => {
    native = new NativeProcess(place)
    processor = new NativeProcess()
  })
  afterAll(() => Promise.all([native, processor].map((child) => child[Symbol.asyncDispose]())))

  test.each(cases)('$name', (entry) => expectParity(native, entry))

  test.each(cases)('$name: as the processor', async (entry) => {
    const { rows, parameters, inputs, labels, gradients, inputGradients } = solveCase(entry).problem
    const given = { rows, parameters, inputs, ...(labels.length > 0 && { labels }) }
    const outputs = rows.flatMap(({ op, name, phase }) => (op === 'input' || phase === 'inference' ? [] : [name]))
    const request = { ...given, gradients, inputGradients, training: true, outputs, options: { exact: true } }
    const [actual, expected] = [await native.run(request), await processor.run(request)]
    const limit = entry.tolerance ?? tolerances.f32.operation
    for (const kind of ['outputs', 'parameterGradients', 'inputGradients'] as const satisfies (keyof NativeRunResult)[])
      for (const [name, { data }] of Object.entries(expected[kind]))
        expect(relativeError(actual[kind][name]!.data, data), `${name}, ${kind}`).toBeLessThan(limit)
  })

  testNetworks(place, tolerances.f32)

  const photos = useFolder()
  beforeAll(() => drawPhotos(photos.path))
  testPhotos({}, photos)

  test('which way each convolution goes', async () => {
    const batch = gpu.simulated ? 1 : 64
    const { kernels } = await native.profile({ rows: googlenet(), batch, training: true })
    for (const { name, direction, implementation, milliseconds } of kernels)
      console.log(
        `${gpu.simulated ? 'simulated' : milliseconds.toFixed(3)} ms  ${name}, ${direction}: ${implementation}`,
      )
    expect(kernels.length).toBeGreaterThan(170)
  })
})

describe.skipIf(!gpu.available).each(['tf32', 'bf16'] as const)(gpu.title('%s'), (precision) => {
  const place = gpu.place(precision)
  let native: NativeProcess
  beforeAll(() => {
    native = new NativeProcess(place)
  })
  afterAll(() => native[Symbol.asyncDispose]())

  test.each(cases)('$name', (entry) => expectPrecision(native, makeProblem(entry), tolerances[precision]))

  testNetworks(place, tolerances[precision])

  // The driver's runs under it are in f32; here are the conversions and the kernels of other types. Two steps are
  // recorded and replayed. To prove the script, the simulated device runs it alone.
  const alone = sanitizerAbsent && gpu.simulated
  const title = alone ? 'training, without' : 'training under'
  test.skipIf(sanitizerAbsent && !alone)(`${title} ${SANITIZER}${alone ? '' : sanitizerReason}`, () => {
    const script = `
      const model = await GoogLeNet.create({ ...small, precision: '${precision}' })
      for (let step = 0; step < 3; step++) await model.step(batch(2), { rate: 0.01 })
      const { data } = await model.features({ shape: [2, 3, 48, 48], data: batch(2).images }, 'prob')
      console.log(model.precision, data.every((p) => p > 0 && p < 1))
      await model.dispose()`
    const { output, ...end } = inChild(script, {}, alone ? [] : under('memcheck'), HOUR)
    expect({ ...end, last: output.split('\n').filter((line) => !line.startsWith('=')) }).toEqual({
      ...DONE,
      last: [`${precision} true`],
    })
  })
})
