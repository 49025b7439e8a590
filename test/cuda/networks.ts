/** Whole networks on a CUDA device, simulated or real: recorded and repeated training steps, Caffe's probabilities. */
import { expect, test } from 'vitest'
import { googlenet, PROBABILITIES } from '../../lib/model/googlenet.js'
import { readSafetensors } from '../../lib/weights/safetensors.js'
import { dataAbsent, dataPath, skipReason } from '../golden/data.js'
import { decode, planesBgr } from '../golden/photos.js'
import { expectTenSteps } from '../golden/ten-steps.js'
import { simulatedTolerances, type Tolerances } from '../gpu/tolerances.js'
import { relativeError } from '../ops/compare.js'
import { decidedProblem } from '../ops/problem.js'
import { type Batch, NativeProcess, type Place } from '../ops/process.js'
import { readNpy } from '../reference/npy.js'
import { Random } from '../reference/random.js'

export function testNetworks(place: Place, bounds: Tolerances = simulatedTolerances.f32): void {
  const exact = bounds === simulatedTolerances.f32
  if (exact) test('ten recorded steps', () => expectTenSteps(place))

  // Bytes in, dropout at work, both auxiliary heads, momentum and decay: what a real training step has.
  // At twice this rate rounding in f32 alone comes to decide maxima otherwise within 20 steps, and moves the loss by
  // 1.7e-3 (seen on the simulated device; here it was 2.2e-7).
  test("20 steps of a narrow GoogLeNet follow the processor's", { timeout: 600_000 }, async () => {
    const size = 64
    const random = new Random(7)
    const batches: Batch[] = [0, 1].map(() => ({
      input: {
        shape: [4, size, size, 3],
        data: Uint8Array.from({ length: 4 * size * size * 3 }, () => random.integer(256)),
      },
      labels: Int32Array.from({ length: 4 }, () => random.integer(5)),
    }))
    const request = {
      rows: googlenet({ width: 0.125, inputSize: size, classes: 5 }),
      batches,
      seed: 3,
      update: { rate: 5e-4, momentum: 0.9, weightDecay: 2e-4, clip: 0 },
      steps: 20,
      evaluate: batches.slice(0, 1),
      output: PROBABILITIES,
    }
    const train = async (where: 'best' | Place, options: { capture?: boolean; streams?: number } = {}) => {
      await using native = new NativeProcess(where)
      return await native.train({ ...request, options: { seed: 9, exact: true, ...options } })
    }
    const [cpu, cuda, told] = await Promise.all([train('best'), train(place), train(place, { capture: false })])
    expect(told, 'recorded or told one by one').toEqual(cuda)
    expect(await train(place, { streams: 4 }), 'on one stream or on four').toEqual(cuda)
    for (let step = 0; step < request.steps; step++) {
      const [expected, actual] = [cpu.results[step]!, cuda.results[step]!]
      expect(Math.abs(actual.loss - expected.loss) / expected.loss, `loss of step ${step}`).toBeLessThan(bounds.loss)
      expect(
        Math.abs(actual.gradientNorm - expected.gradientNorm) / expected.gradientNorm,
        `gradient norm of step ${step}`,
      ).toBeLessThan(bounds.gradientNorm)
    }
    const [expected, actual] = [cpu.evaluations[0]!.data, cuda.evaluations[0]!.data]
    expect(Math.max(...expected.map((p, i) => Math.abs(p - actual[i]!)))).toBeLessThan(bounds.probabilities)
  })

  if (exact)
    test('all gradients of a narrow GoogLeNet agree with the reference', async () => {
      const rows = googlenet({ width: 0.125, inputSize: 64, classes: 5, dropout: { main: 0, auxiliary: 0 } })
      const { problem, expected } = decidedProblem({ name: 'narrow GoogLeNet', rows, batch: 2 }, 1.5e-6)
      const { parameters, inputs, labels } = problem
      await using native = new NativeProcess(place)
      const actual = await native.run({ rows, parameters, inputs, labels, training: true, outputs: [] })
      expect(Object.keys(expected.parameterGradients)).toHaveLength(128)
      for (const [name, data] of Object.entries(expected.parameterGradients))
        expect(relativeError(actual.parameterGradients[name]!.data, data), name).toBeLessThan(bounds.network)
    })

  test.skipIf(dataAbsent)(`two photos get Caffe's probabilities${skipReason}`, { timeout: 600_000 }, async () => {
    const { tensors } = await readSafetensors(dataPath('weights/bvlc_googlenet.safetensors'))
    const images = await Promise.all([0, 1].map((k) => decode(dataPath(`golden/opencv_golden/googlenet_${k}.jpg`))))
    const data = new Float32Array(images.flatMap((image) => [...planesBgr(image)]))
    await using native = new NativeProcess(place)
    const { outputs } = await native.run({
      rows: googlenet({ auxiliary: false }),
      parameters: Object.fromEntries(tensors),
      inputs: { data: { shape: [2, 3, 224, 224], data } },
      training: false,
      outputs: ['prob'],
    })
    const expected = readNpy(dataPath('golden/opencv_golden/googlenet_prob.npy')).data
    expect(Math.max(...Array.from(expected, (p, i) => Math.abs(p - outputs.prob!.data[i]!)))).toBeLessThan(bounds.caffe)
  })
}
