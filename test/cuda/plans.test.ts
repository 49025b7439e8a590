/** Plans of convolutions on the simulated device: by several threads, the same convolution once, whoever asks again. */
import { availableParallelism } from 'node:os'
import { beforeAll, describe, expect, test } from 'vitest'
import { cases } from '../ops/cases.js'
import { makeProblem } from '../ops/problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason, type Place } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'

const { rows } = makeProblem(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!)

describe.skipIf(nativeAbsent)(`plans on simulated CUDA${nativeSkipReason}`, () => {
  const folder = useFolder()
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

  test.skipIf(availableParallelism() < 2)('several threads make them, each with a handle of its own', async () => {
    const alone = await convolutions(new NativeProcess(place('fused')), true)
    for (const tune of [false, true]) {
      const { env, options } = place('fused')
      const cache = { GOOGLENET_CACHE: folder.path }
      await using together = new NativeProcess({
        env: { ...env, ...cache, SIMULATOR_TOGETHER: '1' },
        options: { ...options!, tune },
      })
      const made = await convolutions(together, true)
      expect(made.map(({ name }) => name)).toEqual(alone.map(({ name }) => name))
      if (!tune) expect(made.map(({ implementation }) => implementation)).toEqual(alone.map((k) => k.implementation))
    }
  })

  test('no two threads make the same one', async () => {
    const data = { name: 'data', op: 'input', channels: 8, height: 8, width: 8 } as const
    const layer = (i: number) =>
      ({ name: `conv${i}`, op: 'conv', src: i ? `conv${i - 1}` : 'data', outputs: 8, kernel: 3, pad: 1 }) as const
    const loss = [
      { name: 'fc', op: 'linear', src: 'conv7', outputs: 2 },
      { name: 'loss', op: 'loss', src: 'fc', weight: 1 },
    ] as const
    const request = { rows: [data, ...[...Array(8).keys()].map(layer), ...loss], batch: 2, training: true }
    const count = async (most: number) => {
      await using native = new NativeProcess(place('fused', most))
      return (await native.profile(request)).kernels.filter(({ op }) => op === 'conv').length
    }
    // Forward, backward data and backward weights, of one convolution and of the fully connected layer.
    expect(await count(6)).toBe(8 + 7 + 8)
    await expect(count(5)).rejects.toThrow(/more plans than SIMULATOR_PLANS/)
  })

  test('long sums of weights are cut, their parts kept in workspace; short ones are not', async () => {
    const workspaces = async (size: number) => {
      const rows = [
        { name: 'data', op: 'input', channels: 8, height: size, width: size },
        { name: 'conv', op: 'conv', src: 'data', outputs: 8, kernel: 3, pad: 1 },
        { name: 'fc', op: 'linear', src: 'conv', outputs: 2 },
        { name: 'loss', op: 'loss', src: 'fc', weight: 1 },
      ] as const
      await using native = new NativeProcess(place('fused'))
      const { kernels } = await native.profile({ rows, batch: 2, training: true })
      const texts = kernels.filter(({ direction }) => direction === 'backward weights')
      return texts.map(({ implementation }) => Number(/workspace (\d+)$/.exec(implementation)?.[1]))
    }
    // 2 x 64 x 64 summands for nine tiles: 16 slices of 512. The fully connected layer has two summands.
    const part = 8 * 3 * 3 * 8 * 4
    expect((await workspaces(64)).sort()).toEqual([0, 16 * part])
    expect(await workspaces(8)).toEqual([0, 0])
  })

  test('in f32 engines that copy come before what cuDNN falls back on', async () => {
    const { env, options } = place('packed')
    await using native = new NativeProcess({ env: { ...env, SIMULATOR_STAND_IN: '1' }, options: options! })
    const ways = (await convolutions(native, true)).map(
      ({ implementation }) => /^cudnn:\d+ \w+/.exec(implementation)![0],
    )
    expect(new Set(ways)).toEqual(new Set(['cudnn:1 plain', 'cudnn:1 packed']))
  })

  test('the first layer that cannot be planned is the one that is named', async () => {
    await using none = new NativeProcess(place('fused', 0))
    await expect(convolutions(none, true)).rejects.toThrow(/cannot run layer 'conv1.*': .*more plans than/)
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
