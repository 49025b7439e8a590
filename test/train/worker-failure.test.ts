/** What goes wrong with workers: broken ones, aborted and disposed runs, foreign logs, wrong options; and what they hold. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type FitOptions, GoogLeNet, sgd } from '../../lib/index.js'
import { train } from '../../lib/train/trainer.js'
import { all, epochsOf, OPTIONS, pause, SMALL, trained, useData, wrapped } from './team.js'

const folder = await useData()

/** Repeatable numbers in [0, 1). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

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
    await expect(trained(folder, { workers: 3, ...options }, failing(4))).rejects.toThrow('injected')
  })

  it('the last worker cannot be dropped', async () => {
    const broken = wrapped(() => ({ compute: () => Promise.reject(new Error('injected')) }))
    await expect(trained(folder, { workers: 2, onWorkerError: 'drop' }, broken)).rejects.toThrow('injected')
  })

  /** Kills whoever takes the batch of step `at`: before it, between its gradient and the push, or a moment after its start. */
  const killing = (at: number, kind: number, ms: number, computed: number[]) => {
    let killed = false
    return wrapped((worker) => ({
      compute: async (batch, options) => {
        if (options.step === at && !killed) {
          killed = true
          if (kind === 1) await worker.compute(batch, { ...options, push: undefined })
          if (kind < 2) throw new Error('killed')
          setTimeout(() => void worker.dispose(), ms)
        }
        const result = await worker.compute(batch, options)
        computed.push(options.step)
        return result
      },
    }))
  }

  it('a worker killed at 50 random moments: every batch counts once, the loss falls', {
    timeout: 300_000,
  }, async () => {
    const random = numbers(7)
    await using model = await GoogLeNet.create(SMALL)
    // At 0.003 staleness and momentum make one such run in some thirty leave its minimum again, killed workers or not.
    const optimizer = sgd({ rate: 0.001, clip: 5 })
    const options: FitOptions = { ...OPTIONS, optimizer, workers: 3, onWorkerError: 'drop' }
    const losses: number[] = []
    for (let run = 0; run < 50; run++) {
      const [batch, kind, ms] = [12, 3, 10].map((count) => Math.floor(random() * count)) as [number, number, number]
      const computed: number[] = []
      const first = model.steps
      const kill = killing(first + batch, kind, ms, computed)
      const events = await all(train(model, folder.data, { ...options, seed: run }, kill))
      // Disposed of after its last batch, a worker is not missed.
      if (kind < 2) expect(events.filter(({ type }) => type === 'worker')).toHaveLength(1)
      expect(computed.sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => first + i))
      const { imagesSeen, loss, step } = epochsOf(events).at(-1)!
      expect({ imagesSeen, updates: step - first }).toEqual({ imagesSeen: 48, updates: 12 })
      losses.push(loss)
    }
    const mean = (list: number[]) => list.reduce((sum, loss) => sum + loss, 0) / list.length
    expect(mean(losses.slice(-10))).toBeLessThan(0.5 * mean(losses.slice(0, 10)))
  })

  it('a loss that is not finite ends the run, whatever the option', async () => {
    const optimizer = sgd({ rate: 1e30, clip: 0 })
    await expect(trained(folder, { workers: 2, onWorkerError: 'drop', optimizer })).rejects.toMatchObject({
      code: 'GOOGLENET_ERR_NOT_FINITE',
    })
  })

  it('disposing of the model ends it with DISPOSED, at any moment', async () => {
    for (const ms of [0, 5, 20, 60]) {
      const model = await GoogLeNet.create(SMALL)
      const run = all(model.fit(folder.data, { ...OPTIONS, workers: 3, epochs: 50 }))
      run.catch(() => {})
      await pause(ms)
      await model.dispose()
      await expect(run).rejects.toMatchObject({ code: 'GOOGLENET_ERR_DISPOSED' })
    }
  })

  it('leaving the loop stops the workers; the model stays usable', async () => {
    await using model = await GoogLeNet.create(SMALL)
    for await (const event of model.fit(folder.data, { ...OPTIONS, workers: 2, epochs: 100 }))
      if (event.type === 'step') break
    const { steps } = model
    await pause(50)
    expect(model.steps).toBe(steps)
    expect(await model.evaluate(folder.validation)).toMatchObject({ images: 12 })
  })

  it('the model can be evaluated while its workers push', async () => {
    await using model = await GoogLeNet.create(SMALL)
    const run = all(model.fit(folder.data, { ...OPTIONS, workers: 2, epochs: 2 }))
    for (let i = 0; i < 3; i++) expect(await model.evaluate(folder.validation)).toMatchObject({ images: 12 })
    expect(epochsOf(await run)).toHaveLength(2)
  })

  it('refuses a log of another run, and what is no log', async () => {
    const record = join(folder.path, 'log.jsonl')
    await trained(folder, { workers: 2, record })
    await expect(trained(folder, { workers: 2, record })).rejects.toThrow(
      'record: expected a file that does not exist yet',
    )
    await expect(trained(folder, { workers: 3, replay: record })).rejects.toThrow(
      'recorded with workers 2, this run has 3',
    )
    await expect(trained(folder, { workers: 2, epochs: 2, replay: record })).rejects.toThrow(
      'the log ends before the run does',
    )
    const lines = (await readFile(record, 'utf8')).split('\n')
    await writeFile(record, [lines[0], '{"worker":0}', ...lines.slice(2)].join('\n'))
    await expect(trained(folder, { workers: 2, replay: record })).rejects.toMatchObject({
      code: 'GOOGLENET_ERR_INVALID_FILE',
    })
    await expect(trained(folder, { workers: 2, replay: join(folder.path, 'none') })).rejects.toMatchObject({
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
    [{ devices: ['cpu'] }, "workers: expected a number of workers, which 'devices' is about"],
    [{ workers: 2, devices: [] }, 'devices: expected a list of 1 to 2 devices, no more than workers, got []'],
    [{ workers: 1, devices: ['cpu', 'cpu'] }, 'devices: expected a list of 1 to 1 devices'],
    [
      { workers: 2, devices: 'cpu' as never },
      "devices: expected a list of 1 to 2 devices, no more than workers, got 'cpu'",
    ],
    [{ workers: 2, devices: ['cuda:1'] }, "devices: expected 'cpu', as the model is on 'cpu'"],
  ])('%o', async (options, message) => {
    await using model = await GoogLeNet.create(SMALL)
    expect(() => model.fit(folder.data, options)).toThrow(message)
  })
})

describe('a worker of one own', () => {
  const batch = { images: new Float32Array(3 * 48 * 48), labels: [0] }
  const local = { rate: 0, frozen: [] }
  const push = { optimizer: sgd(), rate: 0.01, frozen: [] }
  const compute = { fetch: true, step: 0, local, push }

  it.each<[object, string]>([
    [{ rate: Number.NaN }, 'rate: expected a number of at least 0, got NaN'],
    [{ rate: Number.POSITIVE_INFINITY }, "rate: expected a number of at least 0, within float32's range, got Infinity"],
    [{ rate: -1 }, 'rate: expected a number of at least 0, got -1'],
    [{ rate: undefined }, 'rate: expected a number of at least 0, got undefined'],
    [{ group: 1.5 }, 'group: expected an integer of at least 1, got 1.5'],
    [{ maxStaleness: -5 }, 'maxStaleness: expected an integer of at least 0, got -5'],
    [{ maxStaleness: Number.NaN }, 'maxStaleness: expected an integer of at least 0, got NaN'],
    [{ frozen: 5 }, 'frozen: expected a list of strings, got 5'],
    [{ scaleByStaleness: 1 }, 'scaleByStaleness: expected true or false, got 1'],
    [{ optimizer: { ...sgd(), clip: Number.NaN } }, 'optimizer.clip: expected a number of at least 0, got NaN'],
    [{ maxstaleness: 5 }, "push: unknown option 'maxstaleness'; did you mean 'maxStaleness'"],
  ])('refuses to push with %o, and the weights stay', async (change, message) => {
    await using model = await GoogLeNet.create(SMALL)
    const worker = model.worker()
    const before = await model.parameters()
    const bad = { ...push, ...change }
    for (const call of [
      () => worker.compute(batch, { ...compute, push: bad }),
      () => worker.push(bad),
      () => worker.flush(bad),
    ]) {
      await expect(call()).rejects.toThrow(message)
    }
    expect(await model.parameters()).toEqual(before)
  })

  it.each<[object, string]>([
    [{ local: { rate: Number.NaN, frozen: [] } }, 'local.rate: expected a number of at least 0, got NaN'],
    [{ local: { rate: 0 } }, 'local.frozen: expected a list of strings, got undefined'],
    [{ local: undefined }, 'local options: expected an object, got undefined'],
    [{ fetch: undefined }, 'fetch: expected true or false, got undefined'],
    [{ step: -1 }, 'step: expected an integer from 0 to 4294967295, got -1'],
    [{ firstSample: 0.5 }, 'firstSample: expected an integer of at least 0, got 0.5'],
    [{ signal: 5 }, 'signal: expected an AbortSignal, got 5'],
  ])('refuses to compute with %o', async (change, message) => {
    await using model = await GoogLeNet.create(SMALL)
    await expect(model.worker().compute(batch, { ...compute, ...change })).rejects.toThrow(message)
  })

  it('refuses calls without anything, and options it does not know', async () => {
    await using model = await GoogLeNet.create(SMALL)
    const worker = model.worker()
    const nothing = undefined as never
    const refused = (message: string) => expect.objectContaining({ name: 'GoogLeNetError', message })
    await expect(worker.compute(nothing, nothing)).rejects.toEqual(
      refused('batch: expected { images, labels }, got undefined'),
    )
    await expect(worker.compute(batch, nothing)).rejects.toEqual(
      refused('compute options: expected an object, got undefined'),
    )
    for (const call of [worker.push(nothing), worker.flush(nothing)]) {
      await expect(call).rejects.toEqual(refused('push options: expected an object, got undefined'))
    }
    expect(() => model.worker({ thread: 3 } as never)).toThrow(
      "worker: unknown option 'thread'; did you mean 'threads'",
    )
    expect(() => model.worker(null as never)).toThrow('worker options: expected an object, got null')
  })
})
