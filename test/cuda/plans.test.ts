/** Plans of convolutions on the simulated device: the same convolution is planned once, whoever asks again. */
import { beforeAll, describe, expect, test } from 'vitest'
import { cases } from '../ops/cases.js'
import { makeProblem } from '../ops/problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason, type Place } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'

const { rows } = makeProblem(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!)

describe.skipIf(nativeAbsent)(`plans on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)

  async function convolutions(native: NativeProcess, training: boolean, batch = 2) {
    const { kernels } = await native.profile({ rows, batch, training, key: 'network' })
    return kernels.filter(({ op }) => op === 'conv' || op === 'linear')
  }
  const place = (way: 'fused' | 'packed', most?: number): Place => {
    const { env, options } = simulated({ way })
    return { env: { ...env, ...(most !== undefined && { SIMULATOR_PLANS: String(most) }) }, options: options! }
  }

  test('inference runs on the plans of training', async () => {
    await using any = new NativeProcess(place('fused'))
    const training = await convolutions(any, true)
    await using limited = new NativeProcess(place('fused', training.length))
    expect((await convolutions(limited, true)).length).toBe(training.length)
    const inference = await convolutions(limited, false)
    expect(inference.length).toBeGreaterThan(10)
    for (const { name, implementation } of inference)
      expect(training).toContainEqual(expect.objectContaining({ name, direction: 'forward', implementation }))
    // That there is a limit is seen at another batch size, whose convolutions are others.
    await expect(convolutions(limited, true, 3)).rejects.toThrow(/more plans than SIMULATOR_PLANS/)
  })

  test('what its workspace rules out is not compiled', async () => {
    // On slices the first proposal copies them, and nothing else is offered: only the dense plans are made.
    await using any = new NativeProcess(place('packed'))
    const training = await convolutions(any, true)
    expect(training.some(({ implementation }) => implementation.includes('packed'))).toBe(true)
    await using limited = new NativeProcess(place('packed', training.length))
    expect((await convolutions(limited, true)).length).toBe(training.length)
  })
})
