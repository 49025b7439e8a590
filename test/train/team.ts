/** What the tests of workers share: a drawn data set, a small model, and workers that are slow, watched or broken. */
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { type EpochEvent, type FitEvent, type FitOptions, GoogLeNet, ImageFolder, sgd } from '../../lib/index.js'
import type { MakeWorker } from '../../lib/train/make-runner.js'
import { train } from '../../lib/train/trainer.js'
import type { Worker } from '../../lib/train/worker.js'
import { drawPictures, temporaryFolder } from './pictures.js'

export const SMALL = { classes: 3, inputSize: 48, width: 0.125, threads: 1, seed: 5 } as const
export const OPTIONS = {
  batchSize: 4,
  augment: 'caffe',
  optimizer: sgd({ rate: 0.003 }),
  epochs: 1,
} satisfies FitOptions

/** 48 pictures to train on, 12 to validate with, of three classes, in a folder that is deleted after the file's tests. */
export async function useData() {
  const folder = await temporaryFolder()
  await drawPictures(join(folder.path, 'train'), 3, 16)
  await drawPictures(join(folder.path, 'val'), 3, 4, 2)
  const data = await ImageFolder.open(join(folder.path, 'train'))
  const validation = await ImageFolder.open(join(folder.path, 'val'))
  afterAll(folder.remove)
  return { ...folder, data, validation }
}
export type TestData = Awaited<ReturnType<typeof useData>>

export async function all(events: AsyncIterable<FitEvent>): Promise<FitEvent[]> {
  const list: FitEvent[] = []
  for await (const event of events) list.push(event)
  return list
}
export const epochsOf = (events: readonly FitEvent[]) =>
  events.filter((event): event is EpochEvent => event.type === 'epoch')

export async function stateOf(
  model: GoogLeNet,
  sets: readonly ('weights' | 'momentum' | 'average')[] = ['weights', 'momentum'],
) {
  const values: Record<string, Float32Array> = {}
  for (const set of sets) for (const [name, { data }] of await model.parameters(set)) values[`${set}/${name}`] = data
  return values
}

/** Trains a fresh model; its weights, and what was reported. */
export async function trained({ data }: TestData, options: FitOptions, makeWorker?: MakeWorker, create: object = {}) {
  await using model = await GoogLeNet.create({ ...SMALL, ...create })
  const events = await all(train(model, data, { ...OPTIONS, ...options }, makeWorker))
  return { state: await stateOf(model), events, last: epochsOf(events).at(-1)!, steps: model.steps }
}

/** Wraps the real workers of this process. */
export function wrapped(wrap: (worker: Worker, index: number) => Partial<Worker>): MakeWorker {
  return (model, place, index) => {
    const worker = model.worker(place)
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
export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
/**
 * Time that passes only while all of `sleepers` sleep, so that who wakes before whom is no matter of the machine's load.
 * Those that have ended sleep no more: the others are then woken after a while.
 */
export function virtualClock(sleepers: number): typeof pause {
  const asleep: { until: number; wake: (value: unknown) => void }[] = []
  let now = 0
  let impatient: NodeJS.Timeout
  const advance = () => {
    asleep.sort((a, b) => a.until - b.until)
    const next = asleep.shift()
    if (!next) return
    now = next.until
    next.wake(undefined)
    impatient = setTimeout(advance, 300)
  }
  return (ms) => {
    clearTimeout(impatient)
    const woken = new Promise((wake) => asleep.push({ until: now + ms, wake }))
    if (asleep.length === sleepers) advance()
    else impatient = setTimeout(advance, 300)
    return woken
  }
}

interface Slowness {
  sleep?: typeof pause
  pushed?: (index: number, staleness: number) => void
}
/** Workers that take `ms` between fetch and push. */
export const slowed = (ms: (index: number) => number, { sleep = pause, pushed }: Slowness = {}) =>
  wrapped((worker, index) => ({
    compute: async (batch, { push, ...options }) => {
      const computed = await worker.compute(batch, options)
      await sleep(ms(index))
      if (!push) return computed
      const result = await worker.push(push)
      pushed?.(index, result.staleness)
      return { ...computed, pushed: result }
    },
  }))
