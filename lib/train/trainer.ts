/**
 * What fit() does: epochs of steps over a dataset, as an async iterable of events. Training runs on its own; the reader only
 * reads. All chance is counted (step, epoch, sample), so that a run stopped anywhere and resumed from its checkpoint
 * ends with the weights of a run that was never stopped, bit for bit.
 */
import type { ImageFolder } from '../data/dataset.js'
import { type LoadedBatch, Loader } from '../data/loader.js'
import { AbortError, GoogLeNetError } from '../errors.js'
import { abortError, throwIfAborted } from '../lifetime.js'
import type { GoogLeNet } from '../model/model.js'
import type { TrainingState } from '../weights/checkpoint.js'
import { EventQueue, type FitEvent, type StepEvent } from './events.js'
import { type FitOptions, resolveFit, type Settings } from './fit-options.js'
import { loadLast, RunFolder } from './run-folder.js'

export type { FitOptions } from './fit-options.js'

/** Steps between two lines of metrics.jsonl. */
const LOG_EVERY = 20

/** See GoogLeNet.fit. Options are checked at once, the work starts when the first event is asked for. */
export function train(
  model: GoogLeNet,
  data: ImageFolder,
  options: FitOptions,
): AsyncGenerator<FitEvent, void, undefined> {
  return drive(model, data, resolveFit(model, data, options))
}

async function* drive(model: GoogLeNet, data: ImageFolder, settings: Settings) {
  const queue = new EventQueue()
  const left = new AbortController()
  const trainer = new Trainer(model, data, settings, left.signal, (event) => queue.push(event))
  const run = trainer.run().then(
    () => queue.close(),
    (error) => queue.close(error),
  )
  try {
    yield* queue
  } finally {
    left.abort()
    await run
  }
}

/** Sums over the epoch so far; part of the checkpoint, so that a resumed epoch reports what a whole one would. */
interface Running {
  [key: string]: number
  steps: number
  images: number
  loss: number
  correct: number
  skipped: number
}
const nothing = (): Running => ({ steps: 0, images: 0, loss: 0, correct: 0, skipped: 0 })

type State = TrainingState & { batchSize: number; running: Running }
type StepFigures = Omit<StepEvent, 'type' | 'seconds' | 'waitSeconds' | 'imagesPerSecond'>

class Trainer {
  /** A last batch that is not full is left out: it would need a plan of its own and a step of its own weight. */
  readonly #imagesPerEpoch: number
  /** The caller's signal, or the reader having left the loop. */
  readonly #stop: AbortSignal
  readonly #state: State
  #folder: RunFolder | undefined
  #recent = { steps: 0, loss: 0 }

  constructor(
    private readonly model: GoogLeNet,
    private readonly data: ImageFolder,
    private readonly settings: Settings,
    left: AbortSignal,
    private readonly emit: (event: FitEvent) => void,
  ) {
    const { batchSize, optimizer, schedule, signal } = settings
    this.#stop = signal ? AbortSignal.any([signal, left]) : left
    this.#imagesPerEpoch = Math.floor(data.length / batchSize) * batchSize
    this.#state = {
      ...{ step: model.steps, epoch: 0, imagesSeen: 0, position: 0, running: nothing(), best: {} },
      dataset: data.fingerprint,
      seed: settings.seed ?? model.options.seed,
      batchSize,
      optimizer: { ...optimizer },
      schedule: { name: schedule.name, ...schedule.options },
    }
  }

  async run(): Promise<void> {
    const { settings } = this
    throwIfAborted(settings.signal)
    if (settings.resume) await this.#resume(settings.resume)
    if (settings.out) this.#folder = await RunFolder.open(settings.out, settings.config, Boolean(settings.resume))
    try {
      while (this.#state.epoch < settings.epochs) await this.#epoch()
    } catch (error) {
      if (!(error instanceof AbortError)) throw error
      // Stopped, not failed: the state is that of the last finished step.
      await this.#save('last')
      if (settings.signal?.aborted) throw abortError(settings.signal)
    }
  }

  async #resume(path: string): Promise<void> {
    const { weights, momentum, state } = await loadLast(path, this.settings.signal)
    if (state.dataset !== this.data.fingerprint) {
      throw new GoogLeNetError(
        'GOOGLENET_ERR_INVALID_ARGUMENT',
        `${path}: the files in ${this.data.dir} are not those of the checkpoint (names, classes or number differ). ` +
          'Resume with the data it was trained on, or start a new run with these weights',
      )
    }
    const { step, epoch, imagesSeen, position, best } = state
    const running = { ...nothing(), ...(state as Partial<State>).running }
    Object.assign(this.#state, { step, epoch, imagesSeen, position, best, running })
    this.#state.seed = this.settings.seed ?? state.seed
    await this.model.restore(weights, momentum, step)
  }

  async #epoch(): Promise<void> {
    const { batchSize, policy, strict, threads, checkpointEvery } = this.settings
    const state = this.#state
    const time = { start: performance.now(), last: performance.now(), waited: 0, images: 0 }
    if (state.position < this.#imagesPerEpoch) {
      const options = { batchSize, policy, strict, threads, seed: state.seed, dropLast: true }
      await using loader = new Loader(this.data, options)
      for await (const batch of loader.epoch(state.epoch, { position: state.position, signal: this.#stop })) {
        for (const { path, message } of batch.skipped) this.emit({ type: 'skip', path, message })
        const figures = await this.#step(batch)
        const now = performance.now()
        const seconds = (now - time.last) / 1000
        const waitSeconds = (loader.waitMs - time.waited) / 1000
        this.emit({ type: 'step', ...figures, seconds, waitSeconds, imagesPerSecond: batch.count / seconds })
        Object.assign(time, { last: now, waited: loader.waitMs, images: time.images + batch.count })
        await this.#log(figures)
        throwIfAborted(this.#stop)
        if (checkpointEvery > 0 && state.step % checkpointEvery === 0) await this.#save('last')
      }
    }
    const seconds = (performance.now() - time.start) / 1000
    await this.#finishEpoch(seconds, time.images)
  }

  async #step({ images, labels, count, position, skipped }: LoadedBatch): Promise<StepFigures> {
    const { optimizer, frozen } = this.settings
    const state = this.#state
    const { running } = state
    const rate = this.#rate()
    const { loss, correct } = await this.model.step({ images, labels }, { optimizer, rate, frozen })
    state.step = this.model.steps
    state.position = position
    state.imagesSeen = state.epoch * this.#imagesPerEpoch + Math.min(position, this.#imagesPerEpoch)
    running.steps++
    running.images += count
    running.loss += loss
    running.correct += correct
    running.skipped += skipped.length
    const { step, imagesSeen } = state
    return { step, epoch: state.epoch + 1, imagesSeen, steps: 1, images: count, loss, top1: correct / count, rate }
  }

  async #finishEpoch(seconds: number, images: number): Promise<void> {
    const { validation, signal } = this.settings
    const state = this.#state
    const { running, step, imagesSeen } = state
    const rate = this.#rate()
    // From here on the epoch counts as done: stopped while it evaluates, a run goes on with the next.
    Object.assign(state, { epoch: state.epoch + 1, position: 0, running: nothing() })
    const evaluation = validation && (await this.model.evaluate(validation, { signal: this.#stop }))
    const loss = running.loss / Math.max(1, running.steps)
    const top1 = running.correct / Math.max(1, running.images)
    const improved = evaluation
      ? evaluation.top1 > (state.best.top1 ?? -1)
      : loss < (state.best.loss ?? Number.POSITIVE_INFINITY)
    if (improved) state.best = evaluation ? { top1: evaluation.top1, top5: evaluation.top5 } : { loss }
    const event: FitEvent = {
      ...{ type: 'epoch', epoch: state.epoch, step, imagesSeen, loss, top1, rate, seconds },
      ...{ imagesPerSecond: images / Math.max(1e-9, seconds), skipped: running.skipped },
      ...(evaluation && { validation: evaluation }),
    }
    const { perClass: _, ...summary } = evaluation ?? { perClass: [] }
    await this.#folder?.log({ ...event, ...(evaluation && { validation: summary }) })
    this.emit(event)
    await this.#save('last')
    if (improved) await this.#save('best')
    throwIfAborted(signal)
  }

  /** The rate of the next step. */
  #rate(): number {
    const { schedule, epochs } = this.settings
    const imagesPerEpoch = this.#imagesPerEpoch
    return schedule.rate(this.#state.imagesSeen, { imagesPerEpoch, totalImages: epochs * imagesPerEpoch })
  }

  async #log({ step, epoch, imagesSeen, loss, rate }: StepFigures): Promise<void> {
    const recent = this.#recent
    recent.steps++
    recent.loss += loss
    if (recent.steps < LOG_EVERY) return
    await this.#folder?.log({ type: 'step', step, epoch, imagesSeen, loss: recent.loss / recent.steps, rate })
    this.#recent = { steps: 0, loss: 0 }
  }

  async #save(kind: 'last' | 'best'): Promise<void> {
    if (!this.#folder) return
    const path = await this.#folder.save(kind, this.model, this.#state)
    this.emit({ type: 'checkpoint', kind, path, step: this.#state.step })
  }
}
