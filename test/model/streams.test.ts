/**
 * Several streams on the processor: calls side by side, with the bits of a model of one thread, in the order of whatever
 * changes the model, sharing its weights.
 */
import { getEventListeners } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CreateOptions, GoogLeNet, ImageFolder } from '../../lib/index.js'
import { processorHas } from '../ops/process.js'
import { drawPictures, useFolder } from '../train/pictures.js'

const SIZE = 64
const SMALL = { classes: 3, inputSize: SIZE, width: 0.25, seed: 5, device: 'cpu' } as const
const SEEDS = Array.from({ length: 24 }, (_, i) => i)
const images = SEEDS.map((seed) =>
  Float32Array.from({ length: 3 * SIZE * SIZE }, (_, i) => Math.sin(i * (seed + 1)) * 100),
)
const pair = { images: new Float32Array([...images[0]!, ...images[1]!]), labels: [0, 2] }
const code = (name: string) => expect.objectContaining({ name: 'GoogLeNetError', code: `GOOGLENET_ERR_${name}` })

const probabilities = async (model: GoogLeNet, images: Float32Array) => (await model.features(images, 'prob')).data
const each = (model: GoogLeNet, seeds: readonly number[]) =>
  Promise.all(seeds.map((seed) => probabilities(model, images[seed]!)))

describe('streams', () => {
  let one: GoogLeNet
  let expected: Float32Array[]
  let fresh: Awaited<ReturnType<GoogLeNet['parameters']>>
  beforeAll(async () => {
    one = await GoogLeNet.create({ ...SMALL, threads: 1 })
    fresh = await one.parameters()
    expected = await each(one, SEEDS)
  })
  afterAll(() => one.dispose())

  it.each([
    [2, 2],
    [2, 5],
    [4, 4],
  ])('%d threads on %d streams: the bits of one thread', async (threads, streams) => {
    await using model = await GoogLeNet.create({ ...SMALL, threads, streams })
    expect(model).toMatchObject({ threads, streams })
    expect(await each(model, SEEDS)).toEqual(expected)
  })

  it('two threads a stream: the bits of two threads', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, threads: 4, streams: 2 })
    await using two = await GoogLeNet.create({ ...SMALL, threads: 2 })
    expect(await each(model, SEEDS)).toEqual(await each(two, SEEDS))
  })

  it('a call with many images is cut into pieces for all of them', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, threads: 3, streams: 3 })
    const count = 20
    const all = Float32Array.from({ length: count * 3 * SIZE * SIZE }, (_, i) => Math.sin(i) * 100)
    const whole = await probabilities(model, all)
    const size = all.length / count
    for (let i = 0; i < count; i++) {
      const alone = await probabilities(one, all.subarray(i * size, (i + 1) * size))
      alone.forEach((value, c) => {
        expect(whole[i * 3 + c]).toBeCloseTo(value, 5)
      })
    }
  })

  it('weights are shared, activations are not', async () => {
    const held = async (options: CreateOptions) => {
      await using model = await GoogLeNet.create({ ...SMALL, ...options })
      await each(model, SEEDS)
      return model.memory()
    }
    const [alone, beside] = [await held({ threads: 1 }), await held({ threads: 2, streams: 2 })]
    expect(beside).toMatchObject({ parameters: alone.parameters, kernels: alone.kernels })
    expect(alone.kernels).toBeGreaterThan(0)
    expect(beside.arena).toBe(2 * alone.arena) // both have worked, so they were at work at the same time
    expect(beside.total).toBe(beside.parameters + beside.arena + beside.scratch + beside.kernels)
  })

  it('what changes the model takes its turn among the calls', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, threads: 2, streams: 2 })
    await using plain = await GoogLeNet.create({ ...SMALL, threads: 2 })
    const zero = new Map([['loss3/classifier.weight', { shape: [3, 256], data: new Float32Array(768) }]])
    const [, before, stepped, after, , uniform] = await Promise.all([
      model.step(pair, { rate: 0.01 }),
      each(model, SEEDS),
      model.step(pair, { rate: 0.01 }),
      each(model, SEEDS),
      model.setParameters('weights', zero),
      each(model, SEEDS),
    ])
    // A step's own threads are all of the model's, so its bits are those of two threads; the streams have one each.
    await plain.step(pair, { rate: 0.01 })
    await one.setParameters('weights', await plain.parameters())
    expect(before).toEqual(await each(one, SEEDS))
    expect(stepped).toEqual(await plain.step(pair, { rate: 0.01 }))
    await one.setParameters('weights', await plain.parameters())
    expect(after).toEqual(await each(one, SEEDS))
    expect(after).not.toEqual(before)
    await one.setParameters('weights', zero)
    expect(uniform).toEqual(await each(one, SEEDS))
    await one.setParameters('weights', fresh)
  })

  it('aborted calls leave the others alone', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, threads: 2, streams: 2 })
    const aborts = new AbortController()
    const doomed = SEEDS.map((seed) => model.features(images[seed]!, 'prob', { signal: aborts.signal }))
    const kept = each(model, SEEDS)
    aborts.abort()
    const outcomes = await Promise.allSettled(doomed) // the first may have been served before
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.name] : []))
    expect(new Set(reasons)).toEqual(new Set(['AbortError']))
    expect(await kept).toEqual(expected)
  })

  it('any number of calls may share a signal, which keeps nothing of them', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, threads: 2, streams: 2 })
    const { signal } = new AbortController()
    const calls = Array.from({ length: 12 }, () => model.features(images[1]!, 'prob', { signal }))
    await Promise.race(calls)
    expect(getEventListeners(signal, 'abort').length).toBeLessThan(11) // of which Node warns
    await Promise.all(calls)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('dispose() waits for those at work and rejects those that wait', async () => {
    const model = await GoogLeNet.create({ ...SMALL, threads: 2, streams: 2 })
    await each(model, [1, 2])
    const calls = Promise.allSettled(SEEDS.map((seed) => probabilities(model, images[seed]!)))
    await model.dispose()
    const outcomes = await calls
    const served = outcomes.filter(({ status }) => status === 'fulfilled')
    expect(served.length).toBeLessThan(SEEDS.length)
    outcomes.forEach((outcome, i) => {
      if (outcome.status === 'fulfilled') expect(outcome.value).toEqual(expected[i])
      else expect(outcome.reason).toEqual(code('DISPOSED'))
    })
    await expect(probabilities(model, images[0]!)).rejects.toEqual(code('DISPOSED'))
  })

  it('workers push between the calls', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, threads: 2, streams: 2 })
    const worker = model.worker()
    const local = { rate: 0.01, frozen: [] }
    const push = { ...local, optimizer: { kind: 'sgd', rate: 0.01, momentum: 0.9, weightDecay: 0, clip: 0 } as const }
    let pushing = true
    const pushes = (async () => {
      for (let step = 0; step < 12; step++) await worker.compute(pair, { fetch: true, step, local, push })
      pushing = false
    })()
    while (pushing) {
      for (const values of await each(model, [1, 2, 3, 4])) {
        expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5)
      }
    }
    await pushes
    await one.setParameters('weights', await model.parameters())
    expect(await each(model, SEEDS)).toEqual(await each(one, SEEDS))
    await one.setParameters('weights', fresh)
  })

  it.each([0, 65, 1.5, '2'])('%o of them are refused', async (streams) => {
    const error = await GoogLeNet.create({ ...SMALL, streams: streams as number }).catch((error: Error) => error)
    expect(error).toEqual(code('INVALID_ARGUMENT'))
    expect((error as Error).message).toContain('streams: expected an integer from 1 to 64')
  })
})

describe('streams of a trained model', () => {
  const folder = useFolder()
  const noBf16 = !processorHas('avx512_bf16')
  const reason = noBf16 ? ' (bf16 left out: a processor without AVX512_BF16)' : ''

  it.each(noBf16 ? (['f32', 'int8'] as const) : (['f32', 'bf16', 'int8'] as const))(
    `evaluate() in %s counts what one stream counts${reason}`,
    async (precision) => {
      const photos = join(folder.path, 'photos')
      await drawPictures(photos, 3, 9)
      const data = await ImageFolder.open(photos)
      const file = join(folder.path, 'model.safetensors')
      {
        await using model = await GoogLeNet.create({ ...SMALL, threads: 2 })
        await model.calibrate(data, { method: 'minmax' })
        await model.save(file)
      }
      await using alone = await GoogLeNet.load(file, { device: 'cpu', precision, threads: 1 })
      await using beside = await GoogLeNet.load(file, { device: 'cpu', precision, threads: 2, streams: 2 })
      const [a, b] = [await alone.evaluate(data), await beside.evaluate(data)]
      expect(b).toMatchObject({ images: 27, top1: a.top1, top5: a.top5 })
      expect(b.loss).toBeCloseTo(a.loss, 4)
    },
  )
})
