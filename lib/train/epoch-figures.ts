/**
 * What an epoch's events report, added up step by step. The sums are part of the checkpoint, so that a resumed epoch
 * reports what a whole one would; times are only of this process.
 */
import type { Outcome } from './runner.js'
import { Staleness } from './staleness.js'
import type { WorkerSettings } from './worker-options.js'

export class EpochFigures {
  #steps: number
  #images: number
  #loss: number
  #correct: number
  skipped: number
  readonly #staleness = new Staleness()
  #storeSeconds = 0
  #start = 0
  #last = 0
  #waited = 0
  #imagesHere = 0

  constructor({ steps = 0, images = 0, loss = 0, correct = 0, skipped = 0 }: Record<string, number> = {}) {
    this.#steps = steps
    this.#images = images
    this.#loss = loss
    this.#correct = correct
    this.skipped = skipped
  }

  /** Starts the clock. */
  begin(): void {
    this.#start = this.#last = performance.now()
  }

  /** Adds a step; returns what its event says. `waitMs`: waited for data so far. */
  add({ task, loss, correct, push, storeSeconds }: Outcome, waitMs: number) {
    const images = task.batch.count
    this.#steps++
    this.#images += images
    this.#imagesHere += images
    this.#loss += loss
    this.#correct += correct
    this.#storeSeconds += storeSeconds
    if (push) this.#staleness.add(push.staleness, push.applied)
    const now = performance.now()
    const seconds = Math.max(1e-9, (now - this.#last) / 1000)
    const waitSeconds = (waitMs - this.#waited) / 1000
    this.#last = now
    this.#waited = waitMs
    return {
      ...{ steps: 1, images, loss, top1: correct / images, seconds, waitSeconds, imagesPerSecond: images / seconds },
      ...(push && { staleness: push.staleness }),
    }
  }

  sums(): Record<string, number> {
    return {
      ...{ steps: this.#steps, images: this.#images, loss: this.#loss, correct: this.#correct },
      skipped: this.skipped,
    }
  }

  /** Of the whole epoch; speed of the part that this process trained. */
  result(workers: WorkerSettings | undefined) {
    const seconds = (performance.now() - this.#start) / 1000
    return {
      loss: this.#loss / Math.max(1, this.#steps),
      top1: this.#correct / Math.max(1, this.#images),
      seconds,
      imagesPerSecond: this.#imagesHere / Math.max(1e-9, seconds),
      skipped: this.skipped,
      ...(workers && { storeShare: this.#storeSeconds / Math.max(1e-9, seconds * workers.workers) }),
      ...(workers && !workers.sync && { staleness: this.#staleness.summary() }),
    }
  }
}
