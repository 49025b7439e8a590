/**
 * What an evaluation counts: top-1, top-5, mean loss, and what the images of each class were taken for. Rates are
 * fractions from 0 to 1.
 */

export interface Evaluation {
  /** Images evaluated; those that could not be decoded are not among them. */
  images: number
  skipped: number
  /** Mean of -log p of the right class. */
  loss: number
  top1: number
  /** Right class among the five most probable ones. */
  top5: number
  imagesPerSecond: number
  /** In class order. */
  perClass: ClassEvaluation[]
}

export interface ClassEvaluation {
  images: number
  top1: number
  /** The classes that images were wrongly taken for, most often first: a row of the confusion matrix without its zeros. */
  takenFor: { index: number; images: number }[]
}

/** The `count` most probable classes, the lower index first among equals. */
export function topClasses(probabilities: ArrayLike<number>, count: number): number[] {
  const order = Array.from({ length: probabilities.length }, (_, index) => index)
  order.sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
  return order.slice(0, count)
}

/** Adds up predictions one by one. */
export class Metrics {
  #images = 0
  #loss = 0
  #top1 = 0
  #top5 = 0
  /** By class, how many of its images were taken for which. */
  readonly #taken: Map<number, number>[]
  readonly #start = performance.now()
  skipped = 0

  constructor(classes: number) {
    this.#taken = Array.from({ length: classes }, () => new Map())
  }

  get images(): number {
    return this.#images
  }

  /** `probabilities`: one value per class; where that of the right class is NaN, it is the last. */
  add(probabilities: Float32Array, label: number): void {
    const right = probabilities[label]!
    let rank = Number.isNaN(right) ? probabilities.length : 0
    let best = -1 // of NaN alone there is none
    let most = -1
    for (let index = 0; index < probabilities.length; index++) {
      const value = probabilities[index]!
      if (value > right || (value === right && index < label)) rank++
      if (value > most) [best, most] = [index, value]
    }
    this.#images++
    // As Caffe's SoftmaxWithLoss: a probability of 0 must not become an infinite loss.
    this.#loss -= Math.log(Math.max(right, 1.1754943508222875e-38))
    if (rank < 1) this.#top1++
    if (rank < 5) this.#top5++
    const taken = this.#taken[label]!
    taken.set(best, (taken.get(best) ?? 0) + 1)
  }

  result(): Evaluation {
    const images = this.#images
    const mean = (sum: number, count: number) => (count > 0 ? sum / count : 0)
    return {
      images,
      skipped: this.skipped,
      loss: mean(this.#loss, images),
      top1: mean(this.#top1, images),
      top5: mean(this.#top5, images),
      imagesPerSecond: images / Math.max(1e-9, (performance.now() - this.#start) / 1000),
      perClass: this.#taken.map((taken, label) => {
        const all = [...taken].map(([index, images]) => ({ index, images }))
        const count = all.reduce((sum, { images }) => sum + images, 0)
        const wrong = all.filter(({ index }) => index !== label && index >= 0)
        wrong.sort((a, b) => b.images - a.images || a.index - b.index)
        return { images: count, top1: mean(taken.get(label) ?? 0, count), takenFor: wrong }
      }),
    }
  }
}
