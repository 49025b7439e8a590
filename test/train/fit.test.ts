/** fit(): events, checkpoints, exact resume, stopping, freezing, determinism. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type FitEvent, type FitOptions, GoogLeNet, ImageFolder, rmsprop, schedules, sgd } from '../../lib/index.js'
import { train } from '../../lib/train/trainer.js'
import { drawPictures } from './pictures.js'
import { SMALL as ALONE, all, useData } from './team.js'

const SMALL = { ...ALONE, threads: 2 } as const
const OPTIONS = { batchSize: 8, augment: 'caffe', optimizer: sgd({ rate: 0.005 }) } satisfies FitOptions

const folder = await useData()
const { data, validation } = folder

const lines = async (out: string) =>
  (await readFile(join(out, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

async function weightsOf(model: GoogLeNet) {
  const weights = await model.parameters('weights')
  const momentum = await model.parameters('momentum')
  return [...weights, ...momentum].map(([name, { data }]) => [
    name,
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
  ])
}

describe('events', () => {
  it('reports steps, epochs and checkpoints, and writes them down', async () => {
    const out = join(folder.path, 'events')
    await using model = await GoogLeNet.create(SMALL)
    const events = await all(model.fit(data, { ...OPTIONS, validation, epochs: 2, out }))
    const epochs = events.filter((event) => event.type === 'epoch')
    expect(epochs.map(({ epoch, step, imagesSeen }) => [epoch, step, imagesSeen])).toEqual([
      [1, 6, 48],
      [2, 12, 96],
    ])
    expect(epochs[1]!.validation).toMatchObject({ images: 12, skipped: 0 })
    const steps = events.filter((event) => event.type === 'step')
    expect(steps.reduce((sum, { steps }) => sum + steps, 0)).toBe(12)
    expect(steps.every(({ loss, imagesPerSecond }) => Number.isFinite(loss) && imagesPerSecond > 0)).toBe(true)
    expect(events.some((event) => event.type === 'checkpoint' && event.kind === 'best')).toBe(true)

    const epochLines = (await lines(out)).filter(({ type }) => type === 'epoch')
    expect(epochLines.map(({ epoch }) => epoch)).toEqual([1, 2])
    expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))).toMatchObject({ epochs: 2, batchSize: 8 })
    await using best = await GoogLeNet.load(join(out, 'best', 'model.safetensors'))
    expect(best.options).toMatchObject({ classes: 3, inputSize: 48, width: 0.125 })
    expect([model.labels, best.labels]).toEqual([data.classes, data.classes])
  })

  it('melts the steps a slow reader has missed into one event', async () => {
    await using model = await GoogLeNet.create(SMALL)
    const events: FitEvent[] = []
    for await (const event of model.fit(data, { ...OPTIONS, epochs: 1 })) {
      events.push(event)
      while (model.steps < 6) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const steps = events.filter((event) => event.type === 'step')
    expect(steps.length).toBeLessThan(6)
    expect(steps.reduce((sum, { steps }) => sum + steps, 0)).toBe(6)
    expect(steps.at(-1)!.step).toBe(6)
  })

  it('names an image that cannot be decoded, and goes on', async () => {
    const dir = join(folder.path, 'damaged')
    await drawPictures(dir, 3, 6)
    const whole = await readFile(join(dir, 'a', '0.jpg'))
    await writeFile(join(dir, 'a', '0.jpg'), whole.subarray(0, 60))
    const damaged = await ImageFolder.open(dir)
    await using model = await GoogLeNet.create(SMALL)
    const events = await all(model.fit(damaged, { ...OPTIONS, epochs: 1, batchSize: 4 }))
    expect(events.filter((event) => event.type === 'skip').map(({ path }) => path)).toEqual([join(dir, 'a', '0.jpg')])
    await expect(all(model.fit(damaged, { ...OPTIONS, epochs: 1, strict: true }))).rejects.toMatchObject({
      code: 'GOOGLENET_ERR_IMAGE_DECODE',
    })
  })
})

describe('exactness', () => {
  it('two runs with the same seed give the same weights, another seed others', async () => {
    const results = []
    for (const seed of [5, 5, 6]) {
      await using model = await GoogLeNet.create({ ...SMALL, seed })
      await all(model.fit(data, { ...OPTIONS, epochs: 1 }))
      results.push(await weightsOf(model))
    }
    expect(results[1]).toEqual(results[0])
    expect(results[2]).not.toEqual(results[0])
  })

  it('stopped in the middle of an epoch and resumed by a new model, a run ends with the same weights', async () => {
    const out = join(folder.path, 'stopped')
    const schedule = schedules.poly({ base: 0.005 })
    await using straight = await GoogLeNet.create(SMALL)
    await all(straight.fit(data, { ...OPTIONS, schedule, epochs: 2 }))

    await using first = await GoogLeNet.create(SMALL)
    const controller = new AbortController()
    const run = async () => {
      for await (const event of first.fit(data, { ...OPTIONS, schedule, epochs: 2, out, signal: controller.signal })) {
        if (event.type === 'step' && event.step >= 3) controller.abort('enough')
      }
    }
    await expect(run()).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
    expect(first.steps).toBeGreaterThanOrEqual(3)
    expect(first.steps).toBeLessThan(12)

    await using second = await GoogLeNet.load(join(out, 'last', 'checkpoint.safetensors'))
    const events = await all(second.fit(data, { ...OPTIONS, schedule, epochs: 2, resume: out }))
    expect(second.steps).toBe(12)
    expect(events.filter((event) => event.type === 'epoch').at(-1)).toMatchObject({ epoch: 2, imagesSeen: 96 })
    expect(await weightsOf(second)).toEqual(await weightsOf(straight))
  })

  it('stopped before its first update, a run saves no state that its optimiser does not have yet', async () => {
    const out = join(folder.path, 'early')
    const options = { ...OPTIONS, optimizer: rmsprop({ rate: 0.005 }), workers: 1, epochs: 1 }
    await using straight = await GoogLeNet.create(SMALL)
    await all(straight.fit(data, options))

    await using first = await GoogLeNet.create(SMALL)
    const controller = new AbortController()
    const stopped = train(first, data, { ...options, out, signal: controller.signal }, (model, place) => {
      controller.abort()
      return model.worker(place)
    })
    await expect(all(stopped)).rejects.toMatchObject({ name: 'AbortError' })
    expect(first.steps).toBe(0)

    await using second = await GoogLeNet.load(join(out, 'last', 'checkpoint.safetensors'))
    await all(second.fit(data, { ...options, resume: out }))
    expect(await weightsOf(second)).toEqual(await weightsOf(straight))
  })

  it('stopped while it evaluates, a run evaluates when it goes on, and ends as one that was not stopped', async () => {
    const run = async (out: string, stop: boolean) => {
      const options = { ...OPTIONS, validation, epochs: 2, out: join(folder.path, out) }
      const controller = new AbortController()
      await using first = await GoogLeNet.create(SMALL)
      if (stop) {
        const evaluate = first.evaluate.bind(first)
        first.evaluate = (...args) => {
          controller.abort()
          return evaluate(...args)
        }
        await expect(all(first.fit(data, { ...options, signal: controller.signal }))).rejects.toThrow('aborted')
        expect((await lines(options.out)).filter(({ type }) => type === 'epoch')).toEqual([])
        await using second = await GoogLeNet.create(SMALL)
        await all(second.fit(data, { ...options, resume: options.out }))
        return [options.out, await weightsOf(second)] as const
      }
      await all(first.fit(data, options))
      return [options.out, await weightsOf(first)] as const
    }
    const [straight, weights] = await run('judged', false)
    const [stopped, same] = await run('judged-later', true)
    expect(same).toEqual(weights)
    const judged = async (out: string) =>
      (await lines(out)).map(({ type, epoch, loss, validation }) => [type, epoch, loss, validation?.top1])
    expect(await judged(stopped)).toEqual(await judged(straight))
    expect(existsSync(join(stopped, 'best', 'model.safetensors'))).toBe(true)
  })

  it('a run killed between two checkpoints writes what it logged meanwhile once', async () => {
    const out = join(folder.path, 'killed')
    await using model = await GoogLeNet.create(SMALL)
    await all(model.fit(data, { ...OPTIONS, epochs: 1, out }))
    const before = await lines(out)
    const late = [
      { type: 'step', epoch: 2, imagesSeen: 56 },
      { type: 'epoch', epoch: 2, imagesSeen: 96 },
    ]
    await appendFile(join(out, 'metrics.jsonl'), late.map((line) => `${JSON.stringify(line)}\n`).join(''))
    await writeFile(join(out, 'last', '.checkpoint.safetensors.17.0123456789ab.tmp'), 'half')
    await writeFile(join(out, 'mine.tmp'), "not the run's")
    await using second = await GoogLeNet.create(SMALL)
    await all(second.fit(data, { ...OPTIONS, epochs: 2, out, resume: out }))
    expect(await readdir(join(out, 'last'))).toEqual(['checkpoint.safetensors'])
    expect(await readdir(out)).toContain('mine.tmp')
    const after = await lines(out)
    expect(after.slice(0, before.length)).toEqual(before)
    expect(after.filter(({ type }) => type === 'epoch').map(({ epoch }) => epoch)).toEqual([1, 2])
    expect(after.at(-1)).toHaveProperty('loss')
  })

  it('in another folder the best model so far comes along', async () => {
    const [from, out] = [join(folder.path, 'from'), join(folder.path, 'moved')]
    await using model = await GoogLeNet.create(SMALL)
    const still = { ...OPTIONS, validation, optimizer: sgd({ rate: 0 }) }
    await all(model.fit(data, { ...still, epochs: 1, out: from }))
    await using second = await GoogLeNet.create(SMALL)
    await all(second.fit(data, { ...still, epochs: 2, out, resume: from }))
    expect(await readFile(join(out, 'best', 'model.safetensors'))).toEqual(
      await readFile(join(from, 'best', 'model.safetensors')),
    )
  })

  it('a folder takes one run at a time, a model too; what a killed run left is no obstacle', async () => {
    const out = join(folder.path, 'shared')
    await using model = await GoogLeNet.create(SMALL)
    await using other = await GoogLeNet.create(SMALL)
    for await (const event of model.fit(data, { ...OPTIONS, epochs: 1, out })) {
      if (event.type !== 'epoch') continue
      await expect(all(other.fit(data, { ...OPTIONS, epochs: 1, out }))).rejects.toMatchObject({
        code: 'GOOGLENET_ERR_INVALID_ARGUMENT',
        message: expect.stringContaining(`${out} is in use`),
      })
      await expect(all(model.fit(data, { ...OPTIONS, epochs: 1 }))).rejects.toMatchObject({
        code: 'GOOGLENET_ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('fit(): expected one run of a model at a time'),
      })
    }
    const dead = spawnSync(process.execPath, ['-e', '']).pid
    const long = new Date(Date.now() - 70_000)
    for (const [left, when] of [
      [`${dead} ${hostname()}`, new Date()],
      [`${process.pid} ${hostname()}`, new Date()], // of a process that had this number before
      ['1 another-host', long],
    ] as const) {
      await writeFile(join(out, '.lock'), left)
      await utimes(join(out, '.lock'), when, when)
      await all(other.fit(data, { ...OPTIONS, epochs: 1, out }))
      expect(existsSync(join(out, '.lock'))).toBe(false)
    }
    await writeFile(join(out, '.lock'), '1 another-host')
    await expect(all(other.fit(data, { ...OPTIONS, epochs: 1, out }))).rejects.toThrow('process 1 on another-host')
  })

  it('refuses to resume with other data', async () => {
    const out = join(folder.path, 'other')
    await using model = await GoogLeNet.create(SMALL)
    await all(model.fit(data, { ...OPTIONS, epochs: 1, out }))
    await expect(all(model.fit(validation, { ...OPTIONS, epochs: 2, resume: out }))).rejects.toThrow(
      /not those of the checkpoint/,
    )
  })
})

describe('stopping', () => {
  it('leaving the loop stops the run and leaves the model usable', async () => {
    await using model = await GoogLeNet.create(SMALL)
    for await (const event of model.fit(data, { ...OPTIONS, epochs: 100 })) if (event.type === 'step') break
    const steps = model.steps
    expect(steps).toBeLessThan(100)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(model.steps).toBe(steps)
    expect(await model.evaluate(validation)).toMatchObject({ images: 12 })
  })

  it('an aborted signal stops it before anything happens', async () => {
    await using model = await GoogLeNet.create(SMALL)
    await expect(all(model.fit(data, { ...OPTIONS, signal: AbortSignal.abort() }))).rejects.toThrow('aborted')
    expect(model.steps).toBe(0)
  })

  it('disposing of the model ends it with DISPOSED', async () => {
    const model = await GoogLeNet.create(SMALL)
    const run = async () => {
      for await (const event of model.fit(data, { ...OPTIONS, epochs: 100 }))
        if (event.type === 'step') void model.dispose()
    }
    await expect(run()).rejects.toMatchObject({ code: 'GOOGLENET_ERR_DISPOSED' })
  })
})

describe('learning', () => {
  it('learns to tell three colours apart', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, dropout: { main: 0, auxiliary: 0 } })
    const optimizer = sgd({ rate: 0.002, clip: 5 })
    const events = await all(model.fit(data, { ...OPTIONS, optimizer, validation, augment: 'none', epochs: 10 }))
    const last = events.filter((event) => event.type === 'epoch').at(-1)!
    expect(last.validation!.top1).toBeGreaterThanOrEqual(0.9)
  })

  it('leaves frozen layers as they are', async () => {
    await using model = await GoogLeNet.create(SMALL)
    const before = await model.parameters('weights')
    await all(model.fit(data, { ...OPTIONS, epochs: 1, freeze: ['conv*', 'inception_3?/*'] }))
    for (const [name, { data }] of await model.parameters('weights')) {
      const same = data.every((value, i) => value === before.get(name)!.data[i])
      expect([name, same]).toEqual([name, /^(conv|inception_3)/.test(name)])
    }
  })
})

describe('bad options', () => {
  it.each<[string, object, string]>([
    ['a misspelt option', { batchsize: 8 }, "did you mean 'batchSize'"],
    ['no epochs', { epochs: 0 }, 'epochs: expected an integer of at least 1, got 0'],
    ['an unknown policy', { augment: 'random' }, "'inception' or 'caffe' or 'none', got 'random'"],
    [
      'an optimizer that was changed',
      { optimizer: { ...sgd(), momentum: Number.NaN } },
      'optimizer.momentum: expected',
    ],
    ['a number for patterns', { freeze: 5 }, 'freeze: expected a pattern or a list of them, got 5'],
    ['no policy', { augment: null }, 'augmentation policy: expected what one of policies returns, got null'],
    ['a number for a folder', { out: 5 }, 'out: expected a path, as a string, got 5'],
    ['a folder that no system can name', { out: 'a\0b' }, "out: expected a path, as a string, got 'a\\0b'"],
    ['a number for a run', { resume: 5 }, 'resume: expected a path, as a string, got 5'],
    ['a number for a log', { workers: 1, record: 5 }, 'record: expected a path, as a string, got 5'],
    ['a signal that is none', { signal: {} }, 'signal: expected an AbortSignal, got {}'],
    ['strict by a number', { strict: 1 }, 'strict: expected true or false, got 1'],
    [
      'an average that was changed',
      { average: { kind: 'ema', decay: 2, from: 0 } },
      'decay: expected a number from 0 to 1',
    ],
    ['a pattern that fits nothing', { freeze: 'convolution*' }, "got 'convolution*'"],
  ])('%s', async (_, options, message) => {
    await using model = await GoogLeNet.create(SMALL)
    expect(() => model.fit(data, options)).toThrow(message)
  })

  it.each([null, undefined, 5, {}])('%o for data', async (bad) => {
    await using model = await GoogLeNet.create(SMALL)
    expect(() => model.fit(bad as never)).toThrow('data: expected an ImageFolder')
  })

  it('data with another number of classes', async () => {
    await using model = await GoogLeNet.create({ ...SMALL, classes: 4 })
    expect(() => model.fit(data)).toThrow("expected 4 classes, as the model has, got '3 in")
  })
})
