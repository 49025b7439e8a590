/**
 * What `googlenet train` shows: the progress of the epoch that runs, a line for each that is done, and the figures of
 * the last one as the result.
 */
import { existsSync } from 'node:fs'
import type { EpochEvent, StepEvent } from '../train/events.js'
import { bestModel } from '../train/run-folder.js'
import { percent, type Ui } from './ui.js'

export class TrainReport {
  #progress: ReturnType<Ui['progress']> | undefined
  #last: EpochEvent | undefined
  #images = 0
  #seconds = 0
  #events = 0
  /** Updates so far. */
  steps = 0

  constructor(
    private readonly ui: Ui,
    private readonly epochs: number,
    private readonly imagesPerEpoch: number,
  ) {}

  step(event: StepEvent): void {
    const { step, epoch, imagesSeen, loss, images, seconds, waitSeconds, imagesPerSecond, staleness } = event
    this.steps = step
    this.#progress ??= this.ui.progress(`epoch ${epoch}/${this.epochs}`, this.imagesPerEpoch)
    const waiting = waitSeconds > 0.05 * seconds ? `, ${percent(waitSeconds / seconds)} waiting for data` : ''
    const done = imagesSeen - (epoch - 1) * this.imagesPerEpoch
    const stale = staleness === undefined ? '' : `, staleness ${staleness.toFixed(1)}`
    this.#progress.update(done, `loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(1)} images/s${waiting}${stale}`)
    // The first step makes the plan; it does not belong to the speed.
    if (this.#events++ === 0) return
    this.#images += images
    this.#seconds += seconds
  }

  epoch(event: EpochEvent): void {
    this.stop()
    this.#last = event
    this.steps = event.step
    const { epoch, loss, top1, rate, validation, averaged, staleness, imagesPerSecond, skipped } = event
    this.ui.note(
      `epoch ${epoch}/${this.epochs}: loss ${loss.toFixed(4)}, top-1 ${percent(top1)}` +
        (validation ? `; validation top-1 ${percent(validation.top1)}, top-5 ${percent(validation.top5)}` : '') +
        (averaged ? `, averaged ${percent(averaged.top1)}, ${percent(averaged.top5)}` : '') +
        `; rate ${rate.toPrecision(3)}, ${imagesPerSecond.toFixed(1)} images/s` +
        (staleness ? `, staleness ${staleness.mean.toFixed(2)}` : '') +
        (skipped > 0 ? `, ${skipped} skipped` : ''),
    )
  }

  stop(): void {
    this.#progress?.stop()
    this.#progress = undefined
  }

  /** @param made updates of the run, with those before it was resumed */
  result(out: string, made: number): void {
    const steps = this.steps || made
    const { epoch = this.epochs, loss = null, validation, averaged, staleness } = this.#last ?? {}
    const { top1 = null, top5 = null } = validation ?? {}
    const trainImagesPerSecond = this.#seconds > 0 ? this.#images / this.#seconds : null
    const text = top1 === null ? '' : `, validation top-1 ${percent(top1)}`
    const nothing = this.#last === undefined ? 'nothing to do: ' : ''
    const best = existsSync(bestModel(out)) ? `; ${bestModel(out)}` : ''
    const mean = averaged ? `, averaged ${percent(averaged.top1)}` : ''
    this.ui.result(
      {
        ...{ epochs: epoch, loss, top1, top5, trainImagesPerSecond, steps, out },
        ...(averaged && { averaged: { top1: averaged.top1, top5: averaged.top5 } }),
        ...(staleness && { staleness }),
      },
      `${nothing}${epoch} epochs, ${steps} steps${text}${mean}${best}`,
    )
  }
}
