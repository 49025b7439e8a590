/**
 * Workers: one equals the plain loop bit for bit, workers in step equal the big batch, asynchronous runs repeat from
 * their log, staleness is what theory says, and every image is used exactly once.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { average, type FitOptions, GoogLeNet } from '../../lib/index.js'
import type { MakeWorker } from '../../lib/train/make-runner.js'
import { train } from '../../lib/train/trainer.js'
import type { ComputeOptions } from '../../lib/train/worker.js'
import { all, epochsOf, OPTIONS, SMALL, slowed, stateOf, trained, useData, virtualClock, wrapped } from './team.js'

const folder = await useData()

describe('equality', () => {
  it('one worker is the plain loop, bit for bit, with averaging too', async () => {
    const run = async (options: FitOptions) => {
      await using model = await GoogLeNet.create(SMALL)
      await all(model.fit(folder.data, { ...OPTIONS, epochs: 2, average: average.polyak({ from: 3 }), ...options }))
      return await stateOf(model, ['weights', 'momentum', 'average'])
    }
    const plain = await run({})
    expect(await run({ workers: 1 })).toEqual(plain)
    expect(await run({ workers: 1, sync: true })).toEqual(plain)
  })

  it('workers in step are the big batch, dropout included', async () => {
    const big = await trained(folder, { batchSize: 16 })
    const { state, last, steps } = await trained(folder, { batchSize: 4, workers: 4, sync: true })
    expect([last.step, steps, big.steps]).toEqual([3, 12, 3])
    for (const [name, values] of Object.entries(state)) {
      const expected = big.state[name]!
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
      // The momentum is a sum of gradients, whose f32 sums over the batch were split differently.
      expect(worst, name).toBeLessThanOrEqual((name.startsWith('weights') ? 1e-6 : 2e-5) * Math.max(largest, 1e-3))
    }
    const again = await trained(folder, { batchSize: 4, workers: 4, sync: true })
    expect(again.state).toEqual(state)
  })

  it.each<[string, FitOptions]>([
    ['each gradient alone', {}],
    ['scaled by staleness', { staleness: 'scale' }],
    ['the stale thrown away', { maxStaleness: 1 }],
    ['2-softsync', { softsync: 2, workers: 4 }],
    ['fetching and pushing every other step', { fetchEvery: 2, pushEvery: 2 }],
  ])('a recorded run repeats bit for bit: %s', async (name, options) => {
    const record = join(folder.path, `${name}.jsonl`)
    const shared = { workers: 3, epochs: 2, average: average.ema({ decay: 0.9 }), ...options }
    const first = await trained(
      folder,
      { ...shared, record },
      slowed((index) => 7 * index),
    )
    const second = await trained(
      folder,
      { ...shared, replay: record },
      slowed((index) => 20 - 7 * index),
    )
    expect(second.state).toEqual(first.state)
    expect(second.last.staleness).toEqual(first.last.staleness)
    expect(second.last.step).toBe(first.last.step)
    expect(second.last.loss).toBeCloseTo(first.last.loss, 10)
    const [header, ...pushes] = (await readFile(record, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(header).toMatchObject({ format: 'googlenet-pushes/1', workers: shared.workers, batchSize: 4, from: 0 })
    const batches = pushes.flatMap(({ batches }) => batches.map(({ index }: { index: number }) => index))
    expect(batches.sort((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, i) => i))
  })

  it('a run goes on from a checkpoint that was taken while workers ran, averages included', async () => {
    const options = { workers: 2, sync: true, epochs: 2, average: average.ema({ decay: 0.9 }) } satisfies FitOptions
    const straight = await trained(folder, options)
    const out = join(folder.path, 'stopped')
    await using first = await GoogLeNet.create(SMALL)
    const controller = new AbortController()
    await expect(async () => {
      for await (const event of first.fit(folder.data, { ...OPTIONS, ...options, out, signal: controller.signal })) {
        if (event.type === 'step' && event.step >= 4) controller.abort()
      }
    }).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await using second = await GoogLeNet.load(join(out, 'last', 'checkpoint.safetensors'), { threads: 1 })
    expect(second.steps).toBe(0)
    const events = await all(second.fit(folder.data, { ...OPTIONS, ...options, resume: out }))
    expect(epochsOf(events).at(-1)).toMatchObject({ epoch: 2, step: 12, imagesSeen: 96 })
    expect(await stateOf(second)).toEqual(straight.state)
  })

  it('an asynchronous run is resumed where it was stopped, nothing lost and nothing twice', async () => {
    const out = join(folder.path, 'stopped-async')
    await using model = await GoogLeNet.create(SMALL)
    const controller = new AbortController()
    const seen: number[] = []
    const options = { ...OPTIONS, workers: 3, epochs: 2 }
    const count = (): MakeWorker =>
      wrapped((worker) => ({
        compute: (batch, options) => {
          seen.push(options.step)
          return worker.compute(batch, options)
        },
      }))
    await expect(async () => {
      for await (const event of train(model, folder.data, { ...options, out, signal: controller.signal }, count())) {
        if (event.type === 'step' && event.step >= 5) controller.abort()
      }
    }).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect(seen.length).toBeLessThan(24)
    await all(train(model, folder.data, { ...options, resume: out }, count()))
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, i) => i))
  })
})

describe('staleness', () => {
  it('of W workers of equal speed is W - 1 on average', async () => {
    for (const workers of [2, 4]) {
      const { last } = await trained(
        folder,
        { workers, batchSize: 1 },
        slowed(() => 40, { sleep: virtualClock(workers) }),
      )
      const { mean, max, p50, p95, histogram, pushes } = last.staleness!
      expect(pushes).toBe(48)
      expect(Math.abs(mean - (workers - 1)) / (workers - 1)).toBeLessThan(0.2)
      expect(p50).toBe(workers - 1)
      expect(p95).toBeLessThanOrEqual(max)
      expect(histogram.reduce((a, b) => a + b)).toBe(pushes)
    }
  })

  it('of a worker k times as slow as the W - 1 others is k (W - 1), theirs W - 2 + 1/k; the mean stays W - 1', async () => {
    const [slow, fast]: [number[], number[]] = [[], []]
    const makeWorker = slowed((index) => (index === 0 ? 4 * 60 : 60), {
      sleep: virtualClock(4),
      pushed: (index, staleness) => (index === 0 ? slow : fast).push(staleness),
    })
    // One epoch without an end in between, where all come to rest; the first push of each and the last of the slow
    // one, which outlives the others, belong to no steady state.
    await trained(folder, { workers: 4, batchSize: 1 }, makeWorker)
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length
    expect(Math.abs(mean(slow.slice(0, -1)) - 12) / 12).toBeLessThan(0.2)
    expect(Math.abs(mean(fast.slice(3)) - 2.25) / 2.25).toBeLessThan(0.2)
    expect(Math.abs(mean([...slow, ...fast]) - 3) / 3).toBeLessThan(0.25)
  })

  it('beyond the bound a gradient is counted, but changes nothing', async () => {
    const { last } = await trained(
      folder,
      { workers: 4, maxStaleness: 2 },
      slowed((index) => 5 + 5 * index, { sleep: virtualClock(4) }),
    )
    const { rejected, pushes, histogram } = last.staleness!
    expect(rejected).toBe(histogram.slice(3).reduce((a, b) => a + b, 0))
    expect(rejected).toBeGreaterThan(0)
    expect(last.step).toBe(pushes - rejected)
  })
})

describe('the epoch', () => {
  /** Batches by the first pixels of their images: which were computed, and how often. */
  function watching(fault?: (index: number, call: number) => void) {
    const computed: string[] = []
    const makeWorker = wrapped((worker, index) => {
      let calls = 0
      return {
        compute: async (batch, options: ComputeOptions) => {
          fault?.(index, calls++)
          const result = await worker.compute(batch, options)
          computed.push(String(options.step))
          return result
        },
      }
    })
    return { makeWorker, computed }
  }
  const once = (computed: string[]) => expect(computed.map(Number).sort((a, b) => a - b)).toEqual([...Array(12).keys()])

  it.each([1, 2, 5])('uses every batch exactly once with %i workers', async (workers) => {
    const { makeWorker, computed } = watching()
    const { last } = await trained(folder, { workers }, makeWorker)
    once(computed)
    expect(last).toMatchObject({ imagesSeen: 48, step: 12 })
  })

  it('also when a worker dies: its batch goes to the others', async () => {
    const { makeWorker, computed } = watching((index, call) => {
      if (index === 1 && call === 0) throw new Error('injected')
    })
    const { last, events } = await trained(folder, { workers: 3, onWorkerError: 'drop' }, makeWorker)
    once(computed)
    expect(last.step).toBe(12)
    expect(events.filter((event) => event.type === 'worker')).toMatchObject([{ worker: 1, message: 'injected' }])
  })

  it('in step, and with a late worker that is not waited for', async () => {
    const { makeWorker, computed } = watching((index, call) => {
      if (index === 1 && call === 0) throw new Error('injected')
    })
    const { last } = await trained(folder, { workers: 3, sync: true, onWorkerError: 'drop' }, makeWorker)
    expect(computed).toHaveLength(12)
    expect(last.imagesSeen).toBe(48)

    const { last: late } = await trained(
      folder,
      { workers: 3, sync: true, backupWorkers: 1 },
      slowed((index) => (index === 2 ? 120 : 1)),
    )
    expect(late).toMatchObject({ imagesSeen: 48 })
    expect(late.step).toBeGreaterThanOrEqual(6)
  })
})
