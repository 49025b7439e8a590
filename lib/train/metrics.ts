/**
 * What an evaluation counts: top-1, top-5, mean loss, and top-1 of each class. Rates are fractions from 0 to 1.
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
  /** Per class, in class order. */
  perClass: { images: number; top1: number }[]
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
  readonly #classes: { images: number; right: number }[]
  readonly #start = performance.now()
  skipped = 0

  constructor(classes: number) {
    this.#classes = Array.from({ length: classes }, () => ({ images: 0, right: 0 }))
  }

  get images(): number {
    return this.#images
  }

  /** `probabilities`: one value per class. */
  add(probabilities: Float32Array, label: number): void {
    const right = probabilities[label]!
    let rank = 0
    for (let index = 0; index < probabilities.length; index++) {
      if (probabilities[index]! > right || (probabilities[index] === right && index < label)) rank++
    }
    this.#images++
    // As Caffe's SoftmaxWithLoss: a probability of 0 must not become an infinite loss.
    this.#loss -= Math.log(Math.max(right, 1.1754943508222875e-38))
    if (rank < 1) this.#top1++
    if (rank < 5) this.#top5++
    const seen = this.#classes[label]!
    seen.images++
    if (rank < 1) seen.right++
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
      perClass: this.#classes.map(({ images, right }) => ({ images, top1: mean(right, images) })),
    }
  }
}
