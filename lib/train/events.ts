/**
 * What fit() reports, and the queue between the training loop and its reader: training never waits for a slow
 * reader, whose pending step events melt into one.
 */
import type { Evaluation } from './metrics.js'
import type { StalenessSummary } from './staleness.js'

/** One step, or several when the reader was slower than the training. */
export interface StepEvent {
  type: 'step'
  /** Updates made so far. */
  step: number
  /** From 1. */
  epoch: number
  /** Samples of this run so far, all epochs. */
  imagesSeen: number
  /** What the figures below cover. */
  steps: number
  images: number
  seconds: number
  /** Of `seconds`: waiting for data. */
  waitSeconds: number
  /** Mean of the weighted total of all heads. */
  loss: number
  /** Fraction of right answers of the main head, on the augmented images. */
  top1: number
  rate: number
  imagesPerSecond: number
  /** With workers: mean over the pushes it covers. */
  staleness?: number
}
export interface EpochEvent {
  type: 'epoch'
  /** Epochs finished. */
  epoch: number
  step: number
  imagesSeen: number
  /** Mean over the epoch of the weighted total of all heads. */
  loss: number
  /** Of the main head on the augmented training images. */
  top1: number
  rate: number
  /** Training only, without the evaluation. */
  seconds: number
  imagesPerSecond: number
  /** Images of this epoch that could not be decoded. */
  skipped: number
  /** With the weights as they are. */
  validation?: Evaluation
  /** With their average, where one is kept. */
  averaged?: Evaluation
  /** Asynchronous workers: of this epoch's pushes. */
  staleness?: StalenessSummary
  /** Workers: share of their time spent on fetching and pushing, waiting for the store included. */
  storeShare?: number
}
export interface CheckpointEvent {
  type: 'checkpoint'
  kind: 'last' | 'best'
  path: string
  step: number
}
/** An image that could not be decoded and was left out. */
export interface SkipEvent {
  type: 'skip'
  path: string
  message: string
}
/** A worker that failed and was dropped; its batches go to the others. */
export interface WorkerEvent {
  type: 'worker'
  worker: number
  message: string
  error: Error
}
export type FitEvent = StepEvent | EpochEvent | CheckpointEvent | SkipEvent | WorkerEvent

export class EventQueue implements AsyncIterable<FitEvent> {
  readonly #events: FitEvent[] = []
  #wake: () => void = () => {}
  #closed = false
  #error: unknown

  push(event: FitEvent): void {
    const last = this.#events.at(-1)
    if (event.type === 'step' && last?.type === 'step' && last.epoch === event.epoch) {
      this.#events[this.#events.length - 1] = merge(last, event)
    } else {
      this.#events.push(event)
    }
    this.#wake()
  }

  /** The reader still gets what is queued, then the error. */
  close(error?: unknown): void {
    this.#closed = true
    this.#error = error
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FitEvent, void, undefined> {
    for (;;) {
      const event = this.#events.shift()
      if (event) {
        yield event
      } else if (this.#closed) {
        if (this.#error !== undefined) throw this.#error
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

function merge(a: StepEvent, b: StepEvent): StepEvent {
  const steps = a.steps + b.steps
  const images = a.images + b.images
  const seconds = a.seconds + b.seconds
  return {
    ...b,
    steps,
    images,
    seconds,
    waitSeconds: a.waitSeconds + b.waitSeconds,
    loss: (a.loss * a.steps + b.loss * b.steps) / steps,
    top1: (a.top1 * a.images + b.top1 * b.images) / images,
    imagesPerSecond: images / seconds,
    ...(a.staleness !== undefined &&
      b.staleness !== undefined && { staleness: (a.staleness * a.steps + b.staleness * b.steps) / steps }),
  }
}
