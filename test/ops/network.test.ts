/**
 * The real table, narrow and on small images, with both auxiliary heads: every gradient against the reference, and
 * training that reaches what training must reach.
 */
import { describe, expect, test } from 'vitest'
import { googlenet, PROBABILITIES } from '../../lib/model/googlenet.js'
import { Random } from '../reference/random.js'
import { relativeError } from './compare.js'
import { decidedProblem } from './problem.js'
import { type Batch, type IsaName, NativeProcess, nativeAbsent, nativeSkipReason } from './process.js'

const small = { width: 0.125, inputSize: 64, dropout: { main: 0, auxiliary: 0 } }

/** A coloured disc on noise: the class is the colour, the place is free. */
function discs(count: number, classes: number, size: number, random: Random): Batch {
  const data = new Uint8Array(count * size * size * 3)
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes)
  for (let image = 0; image < count; image++) {
    const [y, x] = [16 + random.integer(size - 32), 16 + random.integer(size - 32)]
    for (let i = 0; i < size * size; i++) {
      const inside = Math.hypot(Math.floor(i / size) - y, (i % size) - x) < 12
      for (let channel = 0; channel < 3; channel++) {
        const bit = (labels[image]! >> channel) & 1
        data[(image * size * size + i) * 3 + channel] = inside ? 40 + 170 * bit : random.integer(256)
      }
    }
  }
  return { input: { shape: [count, size, size, 3], data }, labels }
}

describe.skipIf(nativeAbsent)(`narrow GoogLeNet${nativeSkipReason}`, () => {
  test.each(['best', 'avx2'] as IsaName[])('all gradients agree with the reference, %s', async (isa) => {
    const rows = googlenet({ ...small, classes: 5 })
    const { problem, expected } = decidedProblem({ name: 'narrow GoogLeNet', rows, batch: 2 }, 1.5e-6)
    const { parameters, inputs, labels } = problem
    await using native = new NativeProcess(isa)
    const actual = await native.run({ rows, parameters, inputs, labels, training: true, outputs: [] })
    expect(Object.keys(expected.parameterGradients)).toHaveLength(128)
    for (const [name, data] of Object.entries(expected.parameterGradients)) {
      // 22 layers of rounding instead of one.
      expect(relativeError(actual.parameterGradients[name]!.data, data), name).toBeLessThan(5e-5)
    }
    for (const [name, { loss }] of Object.entries(expected.losses)) {
      expect(Math.abs(actual.losses[name]!.loss - loss) / loss, name).toBeLessThan(1e-5)
    }
  })

  // core/plan_pieces.cc: two images at a time, unless every blob is kept.
  test.each(['best', 'avx2', 'portable'] as IsaName[])(
    'a batch taken piece by piece gives the same bits, %s',
    async (isa) => {
      const rows = googlenet({ ...small, classes: 5 })
      const { parameters } = decidedProblem({ name: 'narrow GoogLeNet', rows, batch: 2 }, 1.5e-6).problem
      const random = new Random(5)
      const data = { shape: [5, 3, 64, 64], data: random.normals(5 * 3 * 64 * 64) }
      const run = async (keepAll: boolean) => {
        await using native = new NativeProcess(isa)
        const request = { rows, parameters, inputs: { data }, training: false, outputs: [PROBABILITIES] }
        return (await native.run({ ...request, options: { keepAll } })).outputs[PROBABILITIES]!
      }
      const pieces = await run(false)
      expect(pieces.shape).toEqual([5, 5, 1, 1])
      expect(new Set(pieces.data).size).toBeGreaterThan(20)
      expect(pieces).toEqual(await run(true))
    },
  )

  // docs/decisions/0011-fused-passes.md counts on it.
  test('no pass only adds gradients, 23 only mask them', async () => {
    await using native = new NativeProcess()
    const { kernels } = await native.profile({ rows: googlenet(small), batch: 1, training: true })
    const count = (op: string) => kernels.filter((kernel) => kernel.op === op).length
    expect([count('sum'), count('mask')]).toEqual([0, 23])
  })

  test('64 images are learnt by heart', { timeout: 400_000 }, async () => {
    const rows = googlenet({ ...small, classes: 8, filler: 'msra' })
    const all = discs(64, 8, 64, new Random(64))
    await using native = new NativeProcess()
    const { results, evaluations } = await native.train({
      rows,
      options: { mean: [128, 128, 128] },
      batches: [all],
      update: { rate: 0.005, momentum: 0.9, weightDecay: 0, clip: 10 },
      steps: 150,
      evaluate: [all],
      output: PROBABILITIES,
    })
    expect(results.at(-1)!.losses['loss3/loss3']!.correct).toBe(64)
    const probabilities = evaluations[0]!.data
    const answers = Array.from(all.labels, (_, image) => {
      const p = probabilities.subarray(8 * image, 8 * (image + 1))
      return p.indexOf(Math.max(...p))
    })
    expect(answers).toEqual([...all.labels])
  })
})
