/**
 * Workers: one equals the plain loop bit for bit, workers in step equal the big batch, asynchronous runs repeat from
 * their log, staleness is what theory says, every image is used exactly once, and failures end or shrink the team.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  average,
  type EpochEvent,
  type FitEvent,
  type FitOptions,
  GoogLeNet,
  ImageFolder,
  sgd,
} from '../../lib/index.js'
import type { MakeWorker } from '../../lib/train/make-runner.js'
import { train } from '../../lib/train/trainer.js'
import type { ComputeOptions, Worker } from '../../lib/train/worker.js'
import { drawPictures, temporaryFolder } from './pictures.js'

const SMALL = { classes: 3, inputSize: 48, width: 0.125, threads: 1, seed: 5 } as const
const OPTIONS = { batchSize: 4, augment: 'caffe', optimizer: sgd({ rate: 0.003 }), epochs: 1 } satisfies FitOptions

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let data: ImageFolder
let validation: ImageFolder

beforeAll(async () => {
  folder = await temporaryFolder()
  await drawPictures(join(folder.path, 'train'), 3, 16)
  await drawPictures(join(folder.path, 'val'), 3, 4, 2)
  data = await ImageFolder.open(join(folder.path, 'train'))
  validation = await ImageFolder.open(join(folder.path, 'val'))
})
afterAll(() => folder.remove())

async function all(events: AsyncIterable<FitEvent>): Promise<FitEvent[]> {
  const list: FitEvent[] = []
  for await (const event of events) list.push(event)
  return list
}
const epochsOf = (events: readonly FitEvent[]) => events.filter((event): event is EpochEvent => event.type === 'epoch')

async function stateOf(
  model: GoogLeNet,
  sets: readonly ('weights' | 'momentum' | 'average')[] = ['weights', 'momentum'],
) {
  const values: Record<string, Float32Array> = {}
  for (const set of sets) for (const [name, { data }] of await model.parameters(set)) values[`${set}/${name}`] = data
  return values
}

/** Trains a fresh model; its weights, and what was reported. */
async function trained(options: FitOptions, makeWorker?: MakeWorker, create: object = {}) {
  await using model = await GoogLeNet.create({ ...SMALL, ...create })
  const events = await all(train(model, data, { ...OPTIONS, ...options }, makeWorker))
  return { state: await stateOf(model), events, last: epochsOf(events).at(-1)!, steps: model.steps }
}

/** Wraps the real workers of this process. */
function wrapped(wrap: (worker: Worker, index: number) => Partial<Worker>): MakeWorker {
  return (model, threads, index) => {
    const worker = model.worker({ threads })
    const own: Worker = {
      compute: (batch, options) => worker.compute(batch, options),
      push: (options) => worker.push(options),
      discard: () => worker.discard(),
      flush: (options) => worker.flush(options),
      dispose: () => worker.dispose(),
    }
    return { ...own, ...wrap(worker, index) }
  }
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
/** Workers that take a while between fetch and push. */
const slowed = (ms: (index: number) => number, pushed: (index: number, staleness: number) => void = () => {}) =>
  wrapped((worker, index) => ({
    compute: async (batch, { push, ...options }) => {
      const computed = await worker.compute(batch, options)
      await pause(ms(index))
      if (!push) return computed
      const result = await worker.push(push)
      pushed(index, result.staleness)
      return { ...computed, pushed: result }
    },
  }))

describe('equality', () => {
  it('one worker is the plain loop, bit for bit, with averaging too', async () => {
    const run = async (options: FitOptions) => {
      await using model = await GoogLeNet.create(SMALL)
      await all(model.fit(data, { ...OPTIONS, epochs: 2, average: average.polyak({ from: 3 }), ...options }))
      return await stateOf(model, ['weights', 'momentum', 'average'])
    }
    const plain = await run({})
    expect(await run({ workers: 1 })).toEqual(plain)
    expect(await run({ workers: 1, sync: true })).toEqual(plain)
  })

  it('workers in step are the big batch, dropout included', async () => {
    const big = await trained({ batchSize: 16 })
    const { state, last, steps } = await trained({ batchSize: 4, workers: 4, sync: true })
    expect([last.step, steps, big.steps]).toEqual([3, 12, 3])
    for (const [name, values] of Object.entries(state)) {
      const expected = big.state[name]!
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
      // The momentum is a sum of gradients, whose f32 sums over the batch were split differently.
      expect(worst, name).toBeLessThanOrEqual((name.startsWith('weights') ? 1e-6 : 2e-5) * Math.max(largest, 1e-3))
    }
    const again = await trained({ batchSize: 4, workers: 4, sync: true })
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
      { ...shared, record },
      slowed((index) => 7 * index),
    )
    const second = await trained(
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
    const straight = await trained(options)
    const out = join(folder.path, 'stopped')
    await using first = await GoogLeNet.create(SMALL)
    const controller = new AbortController()
    await expect(async () => {
      for await (const event of first.fit(data, { ...OPTIONS, ...options, out, signal: controller.signal })) {
        if (event.type === 'step' && event.step >= 4) controller.abort()
      }
    }).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await using second = await GoogLeNet.load(join(out, 'last', 'checkpoint.safetensors'), { threads: 1 })
    expect(second.steps).toBe(0)
    const events = await all(second.fit(data, { ...OPTIONS, ...options, resume: out }))
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
      for await (const event of train(model, data, { ...options, out, signal: controller.signal }, count())) {
        if (event.type === 'step' && event.step >= 5) controller.abort()
      }
    }).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect(seen.length).toBeLessThan(24)
    await all(train(model, data, { ...options, resume: out }, count()))
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, i) => i))
  })
})

describe('staleness', () => {
  it('of W workers of equal speed is W - 1 on average', async () => {
    for (const workers of [2, 4]) {
      const { last } = await trained(
        { workers, batchSize: 1 },
        slowed(() => 40),
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
    const makeWorker = slowed(
      (index) => (index === 0 ? 4 * 60 : 60),
      (index, staleness) => (index === 0 ? slow : fast).push(staleness),
    )
    // One epoch without an end in between, where all come to rest; the first push of each and the last of the slow
    // one, which outlives the others, belong to no steady state.
    await trained({ workers: 4, batchSize: 1 }, makeWorker)
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length
    expect(Math.abs(mean(slow.slice(0, -1)) - 12) / 12).toBeLessThan(0.2)
    expect(Math.abs(mean(fast.slice(3)) - 2.25) / 2.25).toBeLessThan(0.2)
    expect(Math.abs(mean([...slow, ...fast]) - 3) / 3).toBeLessThan(0.25)
  })

  it('beyond the bound a gradient is counted, but changes nothing', async () => {
    const { last } = await trained(
      { workers: 4, maxStaleness: 2 },
      slowed((index) => 5 + 5 * index),
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
    const { last } = await trained({ workers }, makeWorker)
    once(computed)
    expect(last).toMatchObject({ imagesSeen: 48, step: 12 })
  })

  it('also when a worker dies: its batch goes to the others', async () => {
    const { makeWorker, computed } = watching((index, call) => {
      if (index === 1 && call === 0) throw new Error('injected')
    })
    const { last, events } = await trained({ workers: 3, onWorkerError: 'drop' }, makeWorker)
    once(computed)
    expect(last.step).toBe(12)
    expect(events.filter((event) => event.type === 'worker')).toMatchObject([{ worker: 1, message: 'injected' }])
  })

  it('in step, and with a late worker that is not waited for', async () => {
    const { makeWorker, computed } = watching((index, call) => {
      if (index === 1 && call === 0) throw new Error('injected')
    })
    const { last } = await trained({ workers: 3, sync: true, onWorkerError: 'drop' }, makeWorker)
    expect(computed).toHaveLength(12)
    expect(last.imagesSeen).toBe(48)

    const { last: late } = await trained(
      { workers: 3, sync: true, backupWorkers: 1 },
      slowed((index) => (index === 2 ? 120 : 1)),
    )
    expect(late).toMatchObject({ imagesSeen: 48 })
    expect(late.step).toBeGreaterThanOrEqual(6)
  })
})

describe('failure', () => {
  const failing = (call: number) => {
    let calls = 0
    return wrapped((worker) => ({
      compute: (batch, options) => {
        if (calls++ === call) throw new Error('injected')
        return worker.compute(batch, options)
      },
    }))
  }

  it.each([{}, { sync: true }])('ends the run with its error, %o', async (options) => {
    await expect(trained({ workers: 3, ...options }, failing(4))).rejects.toThrow('injected')
  })

  it('the last worker cannot be dropped', async () => {
    const broken = wrapped(() => ({ compute: () => Promise.reject(new Error('injected')) }))
    await expect(trained({ workers: 2, onWorkerError: 'drop' }, broken)).rejects.toThrow('injected')
  })

  it('a loss that is not finite ends the run, whatever the option', async () => {
    const optimizer = sgd({ rate: 1e30, clip: 0 })
    await expect(trained({ workers: 2, onWorkerError: 'drop', optimizer })).rejects.toMatchObject({
      code: 'GOOGLENET_ERR_NOT_FINITE',
    })
  })

  it('disposing of the model ends it with DISPOSED, at any moment', async () => {
    for (const ms of [0, 5, 20, 60]) {
      const model = await GoogLeNet.create(SMALL)
      const run = all(model.fit(data, { ...OPTIONS, workers: 3, epochs: 50 }))
      run.catch(() => {})
      await pause(ms)
      await model.dispose()
      await expect(run).rejects.toMatchObject({ code: 'GOOGLENET_ERR_DISPOSED' })
    }
  })

  it('leaving the loop stops the workers; the model stays usable', async () => {
    await using model = await GoogLeNet.create(SMALL)
    for await (const event of model.fit(data, { ...OPTIONS, workers: 2, epochs: 100 })) if (event.type === 'step') break
    const { steps } = model
    await pause(50)
    expect(model.steps).toBe(steps)
    expect(await model.evaluate(validation)).toMatchObject({ images: 12 })
  })

  it('the model can be evaluated while its workers push', async () => {
    await using model = await GoogLeNet.create(SMALL)
    const run = all(model.fit(data, { ...OPTIONS, workers: 2, epochs: 2 }))
    for (let i = 0; i < 3; i++) expect(await model.evaluate(validation)).toMatchObject({ images: 12 })
    expect(epochsOf(await run)).toHaveLength(2)
  })

  it('refuses a log of another run, and what is no log', async () => {
    const record = join(folder.path, 'log.jsonl')
    await trained({ workers: 2, record })
    await expect(trained({ workers: 2, record })).rejects.toThrow('record: expected a file that does not exist yet')
    await expect(trained({ workers: 3, replay: record })).rejects.toThrow('recorded with workers 2, this run has 3')
    await expect(trained({ workers: 2, epochs: 2, replay: record })).rejects.toThrow('the log ends before the run does')
    const lines = (await readFile(record, 'utf8')).split('\n')
    await writeFile(record, [lines[0], '{"worker":0}', ...lines.slice(2)].join('\n'))
    await expect(trained({ workers: 2, replay: record })).rejects.toMatchObject({ code: 'GOOGLENET_ERR_INVALID_FILE' })
    await expect(trained({ workers: 2, replay: join(folder.path, 'none') })).rejects.toMatchObject({
      code: 'GOOGLENET_ERR_FILE_NOT_FOUND',
    })
  })
})

it('memory() counts the workers, and is what it was when they are gone', async () => {
  await using model = await GoogLeNet.create(SMALL)
  const images = new Float32Array(4 * 3 * 48 * 48)
  await model.step({ images, labels: [0, 1, 2, 0] }, { rate: 0 })
  const before = model.memory()
  expect(before.workers).toBe(0)
  const worker = model.worker()
  const local = { rate: 0, frozen: [] }
  await worker.compute({ images, labels: [0, 1, 2, 0] }, { fetch: true, step: 0, local })
  const during = model.memory()
  // Weights, gradients, activations; no momentum.
  expect(during.workers).toBeGreaterThan(before.total - before.parameters)
  expect(during.workers).toBeLessThan(before.total)
  expect(during.total).toBe(before.total + during.workers)
  await worker.dispose()
  expect(model.memory()).toEqual(before)
})

describe('averaging', () => {
  it('reports raw and averaged figures, keeps and saves the average', async () => {
    const out = join(folder.path, 'averaged')
    await using model = await GoogLeNet.create(SMALL)
    const options = { ...OPTIONS, epochs: 3, validation, average: average.polyak({ from: 12 }), out }
    const epochs = epochsOf(await all(model.fit(data, options)))
    for (const { validation, averaged } of epochs) expect([validation!.images, averaged!.images]).toEqual([12, 12])
    expect(epochs[0]!.averaged).toMatchObject({ loss: epochs[0]!.validation!.loss })
    expect(epochs[2]!.averaged!.loss).not.toBe(epochs[2]!.validation!.loss)
    // The model that is saved is the averaged one; the checkpoint goes on with the raw.
    await using best = await GoogLeNet.load(join(out, 'best', 'model.safetensors'))
    await using again = await GoogLeNet.load(join(out, 'best', 'checkpoint.safetensors'))
    const [a, b] = [await stateOf(best, ['weights']), await stateOf(again, ['weights'])]
    const top1 = Math.max(...epochs.map(({ averaged }) => averaged!.top1))
    expect((await best.evaluate(validation)).top1).toBe(top1)
    if (epochs.findIndex(({ averaged }) => averaged!.top1 === top1) > 0) expect(a).not.toEqual(b)
  })

  /** The reference: what the average is after update number `t` behind its beginning. */
  it.each<['polyak' | 'ema', (t: number, average: number, weight: number) => number]>([
    ['polyak', (t, average, weight) => average + (weight - average) / t],
    // TensorFlow's warm-up decides while it is below the decay: (1 + t) / (10 + t) = 0.27, 0.33, 0.38, then 0.35.
    [
      'ema',
      (t, average, weight) => {
        const decay = t === 1 ? 0 : Math.min(0.35, (1 + t) / (10 + t))
        return decay * average + (1 - decay) * weight
      },
    ],
  ])('%s is what its definition says of the weights after each update', async (kind, next) => {
    await using model = await GoogLeNet.create({ ...SMALL, dropout: { main: 0, auxiliary: 0 } })
    const name = 'conv1/7x7_s2.weight'
    const expected = Float64Array.from((await model.parameters('weights', [name])).get(name)!.data)
    await model.keepAverage({ kind, from: 2, decay: 0.35 }, 0)
    const pixels = 3 * 48 * 48
    const images = Float32Array.from(
      { length: 4 * pixels },
      (_, i) => Math.sin(0.01 * i * (1 + Math.floor(i / pixels))) * 100,
    )
    for (let update = 1; update <= 6; update++) {
      await model.step({ images, labels: [0, 1, 2, 0] }, { rate: 0.002 })
      const { data } = (await model.parameters('weights', [name])).get(name)!
      data.forEach((value, i) => {
        expected[i] = update > 2 ? next(update - 2, expected[i]!, value) : value
      })
    }
    const { data: mean } = (await model.parameters('average', [name])).get(name)!
    mean.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-7)
    })
  })
})

describe('bad options', () => {
  it.each<[FitOptions, string]>([
    [{ sync: true }, "workers: expected a number of workers, which 'sync' is about"],
    [{ workers: 0 }, 'workers: expected an integer from 1'],
    [{ workers: 2, sync: true, staleness: 'scale' }, 'staleness: expected nothing, since workers in step'],
    [{ workers: 2, backupWorkers: 1 }, "backupWorkers: expected nothing without 'sync'"],
    [{ workers: 2, sync: true, backupWorkers: 2 }, 'backupWorkers: expected an integer from 0 to 1'],
    [{ workers: 2, softsync: 3 }, 'softsync: expected an integer from 1 to 2'],
    [{ workers: 2, staleness: 'double' as never }, "staleness: expected 'none' or 'scale'"],
    [{ workers: 2, record: 'a', replay: 'b' }, "record: expected nothing beside 'replay'"],
  ])('%o', async (options, message) => {
    await using model = await GoogLeNet.create(SMALL)
    expect(() => model.fit(data, options)).toThrow(message)
  })
})
