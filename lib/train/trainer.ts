/**
 * What fit() does: epochs of steps over a dataset, as an async iterable of events. Training runs on its own; the reader only
 * reads. All chance is counted (batch, epoch, sample), so that a run stopped anywhere and resumed from its checkpoint
 * ends with the weights of a run that was never stopped, bit for bit.
 */
import type { ImageFolder } from '../data/dataset.js'
import { type LoadedBatch, Loader } from '../data/loader.js'
import { type Rendering, renderingFor } from '../data/rendering.js'
import { AbortError, GoogLeNetError } from '../errors.js'
import { abortError, throwIfAborted } from '../lifetime.js'
import type { GoogLeNet } from '../model/model.js'
import { invalid } from '../options.js'
import type { TrainingState } from '../weights/checkpoint.js'
import { EpochFigures } from './epoch-figures.js'
import { EventQueue, type FitEvent } from './events.js'
import { type FitOptions, resolveFit, type Settings } from './fit-options.js'
import { type MakeWorker, makeRunner, type Position } from './make-runner.js'
import type { Evaluation } from './metrics.js'
import { optimizerState } from './optimizer.js'
import { loadLast, RunFolder } from './run-folder.js'
import type { Outcome, Runner, Task } from './runner.js'
import { batchesPerUpdate } from './worker-options.js'

export type { FitOptions } from './fit-options.js'

/** Steps between two lines of metrics.jsonl. */
const LOG_EVERY = 20

/** See GoogLeNet.fit. Options are checked at once, the work starts when the first event is asked for. */
export function train(
  model: GoogLeNet,
  data: ImageFolder,
  options: FitOptions,
  makeWorker: MakeWorker = (model, place) => model.worker(place),
): AsyncGenerator<FitEvent, void, undefined> {
  return drive(model, data, resolveFit(model, data, options), makeWorker)
}

/** Models that are trained at the moment: two runs of one would mix their updates and their counts. */
const training = new WeakSet<GoogLeNet>()

async function* drive(model: GoogLeNet, data: ImageFolder, settings: Settings, makeWorker: MakeWorker) {
  if (training.has(model)) throw invalid('fit()', 'one run of a model at a time', 'a second before the first has ended')
  const queue = new EventQueue()
  const left = new AbortController()
  const trainer = new Trainer(model, data, settings, left.signal, (event) => queue.push(event))
  training.add(model)
  const run = trainer
    .run(makeWorker)
    .finally(() => training.delete(model))
    .then(
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

/** `step` counts updates, `batches` what was handed out; they differ where several gradients make one update. */
type State = TrainingState & { batches: number; batchSize: number; running: Record<string, number> }

class Trainer {
  /** A last batch that is not full is left out: it would need a plan of its own and a step of its own weight. */
  readonly #imagesPerEpoch: number
  /** The caller's signal, or the reader having left the loop. */
  readonly #stop: AbortSignal
  readonly #state: State
  #figures = new EpochFigures()
  #folder: RunFolder | undefined
  #recent = { steps: 0, loss: 0 }
  /** Lines of metrics.jsonl under way. */
  #logging: Promise<void> = Promise.resolve()

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
      ...{ step: model.steps, batches: model.steps, epoch: 0, imagesSeen: 0, position: 0, running: {}, best: {} },
      dataset: data.fingerprint,
      seed: settings.seed ?? model.options.seed,
      batchSize,
      optimizer: { ...optimizer },
      schedule: { name: schedule.name, ...schedule.options },
    }
  }

  async run(makeWorker: MakeWorker): Promise<void> {
    const { model, settings } = this
    throwIfAborted(settings.signal)
    if (settings.resume) await this.#resume(settings.resume)
    else await model.keepAverage(settings.average, this.#state.step)
    const { step, batches, batchSize, seed, dataset, epoch, imagesSeen } = this.#state
    const { out, resume, config } = settings
    if (out) this.#folder = await RunFolder.open(out, config, resume ? { from: resume, epoch, imagesSeen } : undefined)
    try {
      await this.#train(makeWorker, { updates: step, from: batches, batchSize, seed, dataset })
    } finally {
      await this.#folder?.close()
    }
  }

  async #train(makeWorker: MakeWorker, position: Position): Promise<void> {
    const { model, settings } = this
    const runner = await makeRunner(model, settings, position, makeWorker, this.emit)
    try {
      while (this.#state.epoch < settings.epochs) await this.#epoch(runner)
    } catch (error) {
      if (!(error instanceof AbortError)) throw error
      // Stopped, not failed: all that was begun is finished.
      await this.#save('last')
      if (settings.signal?.aborted) throw abortError(settings.signal)
    } finally {
      await runner.dispose()
    }
  }

  async #resume(path: string): Promise<void> {
    const { model } = this
    const { weights, momentum, squares, average, state } = await loadLast(path, this.settings.signal)
    if (state.dataset !== this.data.fingerprint) {
      throw new GoogLeNetError(
        'GOOGLENET_ERR_INVALID_ARGUMENT',
        `${path}: the files in ${this.data.dir} are not those of the checkpoint (names, classes or number differ). ` +
          'Resume with the data it was trained on, or start a new run with these weights',
      )
    }
    const { step, epoch, imagesSeen, position, best, batches = step, running = {} } = state as State
    Object.assign(this.#state, { step, batches, epoch, imagesSeen, position, best })
    this.#figures = new EpochFigures(running)
    this.#recent = { steps: running.recentSteps ?? 0, loss: running.recentLoss ?? 0 }
    this.#state.seed = this.settings.seed ?? state.seed
    await model.setParameters('weights', weights)
    await model.setParameters('momentum', momentum)
    if (squares) await model.setParameters('squares', squares)
    await model.keepAverage(this.settings.average, step)
    if (average && this.settings.average) await model.setParameters('average', average)
    model.countSteps(batches)
  }

  async #epoch(runner: Runner): Promise<void> {
    const { batchSize, policy, strict, threads, checkpointEvery, workers } = this.settings
    const state = this.#state
    const figures = this.#figures
    figures.begin()
    if (state.position < this.#imagesPerEpoch) {
      const prefetch = 2 + (workers?.workers ?? 1)
      const render = renderingFor([this.model.device])
      const options = { batchSize, policy, render, strict, threads, prefetch, seed: state.seed, dropLast: true }
      await using loader = new Loader(this.data, options)
      const batches = loader.epoch(state.epoch, { position: state.position, signal: this.#stop })
      try {
        for (let last = false; !last; ) {
          last = await this.#stretch(runner, batches, checkpointEvery, () => loader.waitMs)
          throwIfAborted(this.#stop)
          if (!last) await this.#save('last')
        }
      } finally {
        await batches.return()
      }
      state.position = this.#imagesPerEpoch
    }
    await this.#finishEpoch()
  }

  /** Trains on up to `count` updates' worth (0: all) of the epoch's batches; true when there were no more. */
  async #stretch(
    runner: Runner,
    batches: AsyncGenerator<LoadedBatch<Rendering>>,
    count: number,
    waitMs: () => number,
  ): Promise<boolean> {
    const state = this.#state
    let last = false
    let { position } = state
    const start = state.epoch * this.#imagesPerEpoch
    const seen = () => start + Math.min(position, this.#imagesPerEpoch)
    const handOut = async function* (this: Trainer): AsyncGenerator<Task> {
      for (let rounds = 0; (count === 0 || rounds < count) && !last; rounds++) {
        await this.#logging
        if (this.#stop.aborted) return
        // Whole rounds: one that a stop cuts short would not be the update that it is in a run without a stop.
        const round = await take(batches, batchesPerUpdate(this.settings.workers))
        last = round.ended
        if (this.#stop.aborted) return
        for (const batch of round.batches) {
          for (const { path, message } of batch.skipped) this.emit({ type: 'skip', path, message })
          this.#figures.skipped += batch.skipped.length
          const task = { batch, index: state.batches++, rate: this.#rate(seen()), samples: batch.position - position }
          position = batch.position
          yield task
        }
      }
    }
    state.step = await runner.run(handOut.call(this), (outcome) => this.#report(outcome, waitMs()))
    // All that was handed out is in the weights.
    state.position = position
    state.imagesSeen = seen()
    this.model.countSteps(state.batches)
    await this.#logging
    return last
  }

  #report(outcome: Outcome, waitMs: number): void {
    const state = this.#state
    const { samples, rate } = outcome.task
    state.step = Math.max(state.step, outcome.updates)
    state.imagesSeen = Math.min(state.imagesSeen + samples, (state.epoch + 1) * this.#imagesPerEpoch)
    const figures = this.#figures.add(outcome, waitMs)
    outcome.task.batch.release()
    const { step, imagesSeen } = state
    this.emit({ type: 'step', step, epoch: state.epoch + 1, imagesSeen, rate, ...figures })
    const recent = this.#recent
    recent.steps++
    recent.loss += outcome.loss
    if (recent.steps < LOG_EVERY) return
    const line = { type: 'step', step, epoch: state.epoch + 1, imagesSeen, loss: recent.loss / recent.steps, rate }
    this.#logging = this.#logging.then(() => this.#folder?.log(line))
    this.#logging.catch(() => {}) // thrown where it is waited for
    this.#recent = { steps: 0, loss: 0 }
  }

  async #finishEpoch(): Promise<void> {
    const { signal } = this.settings
    const state = this.#state
    const { step, imagesSeen } = state
    const rate = this.#rate(imagesSeen)
    const figures = this.#figures.result(this.settings.workers)
    // Stopped while it evaluates, a run evaluates again when it goes on.
    const { validation, averaged } = await this.#evaluate()
    Object.assign(state, { epoch: state.epoch + 1, position: 0 })
    this.#figures = new EpochFigures()
    const judged = averaged ?? validation
    const improved = judged
      ? judged.top1 > (state.best.top1 ?? -1)
      : figures.loss < (state.best.loss ?? Number.POSITIVE_INFINITY)
    if (improved) state.best = judged ? { top1: judged.top1, top5: judged.top5 } : { loss: figures.loss }
    const event: FitEvent = {
      ...{ type: 'epoch', epoch: state.epoch, step, imagesSeen, rate, ...figures },
      ...(validation && { validation }),
      ...(averaged && { averaged }),
    }
    await this.#folder?.log({
      ...event,
      ...(validation && { validation: withoutClasses(validation) }),
      ...(averaged && { averaged: withoutClasses(averaged) }),
    })
    this.emit(event)
    // The best first: killed in between, a run does the epoch again and saves it again.
    if (improved) await this.#save('best')
    await this.#save('last')
    throwIfAborted(signal)
  }

  /** With the weights as they are and, where one is kept, with their average. */
  async #evaluate(): Promise<{ validation?: Evaluation; averaged?: Evaluation }> {
    const { model, settings } = this
    const { validation: data, average } = settings
    if (!data) return {}
    const evaluate = () => model.evaluate(data, { signal: this.#stop })
    const validation = await evaluate()
    return average ? { validation, averaged: await model.withAverage(evaluate) } : { validation }
  }

  #rate(imagesSeen: number): number {
    const { schedule, epochs } = this.settings
    const imagesPerEpoch = this.#imagesPerEpoch
    return schedule.rate(imagesSeen, { imagesPerEpoch, totalImages: epochs * imagesPerEpoch })
  }

  async #save(kind: 'last' | 'best'): Promise<void> {
    if (!this.#folder) return
    const { optimizer, average } = this.settings
    // Before its first update an optimiser has no state; RMSProp's would be read as zeros, where it starts with ones.
    const state = this.#state.step > 0 ? optimizerState[optimizer.kind] : []
    const kept = [...state, ...(average ? (['average'] as const) : [])]
    const { steps: recentSteps, loss: recentLoss } = this.#recent
    this.#state.running = { ...this.#figures.sums(), recentSteps, recentLoss }
    const path = await this.#folder.save(kind, this.model, this.#state, kept)
    this.emit({ type: 'checkpoint', kind, path, step: this.#state.step })
  }
}

/** Up to `count` batches. A stop while it waits is an end, not an error: what is under way is to be finished. */
async function take(batches: AsyncGenerator<LoadedBatch<Rendering>>, count: number) {
  const taken: LoadedBatch<Rendering>[] = []
  try {
    while (taken.length < count) {
      const { done, value } = await batches.next()
      if (done) return { batches: taken, ended: true }
      taken.push(value)
    }
  } catch (error) {
    if (!(error instanceof AbortError)) throw error
  }
  return { batches: taken, ended: false }
}

function withoutClasses({ perClass: _, ...summary }: Evaluation) {
  return summary
}
