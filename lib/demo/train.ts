/**
 * The demo's own loop over step(): augmented batches in seeded order, the rate by the recipe's schedule. While the
 * engine works on one batch, the event loop's thread makes the next.
 */
import { permutation } from '../data/order.js'
import { throwIfAborted } from '../lifetime.js'
import type { GoogLeNet } from '../model/model.js'
import { sgd } from '../train/optimizer.js'
import { schedules } from '../train/schedule.js'
import { augmentBatch } from './augment.js'
import type { EmojiSet } from './emoji.js'
import type { DemoRecipe } from './recipe.js'

export interface DemoStep {
  /** From 1 to `steps`. */
  step: number
  steps: number
  /** 1, 2, … */
  epoch: number
  /** Images so far. */
  images: number
  /** Seconds so far. */
  seconds: number
  /** Weighted total of all heads, mean over this batch. */
  loss: number
  /** Right answers in this batch, and its size. */
  correct: number
  batch: number
}

export interface DemoTrainOptions {
  /** Of order and augmentation. */
  seed: number
  signal?: AbortSignal
  onStep?: (step: DemoStep) => void
}

/**
 * Trains for `recipe.epochs` passes, a last batch that is not full left out. Resolves with images seen and seconds
 * taken; rejects with an AbortError on `signal` and with what step() throws.
 */
export async function trainDemo(
  model: GoogLeNet,
  set: EmojiSet,
  recipe: DemoRecipe,
  options: DemoTrainOptions,
): Promise<{ images: number; seconds: number }> {
  const { seed, signal } = options
  const { batchSize, epochs, inputSize } = recipe
  const perEpoch = Math.floor(set.names.length / batchSize)
  const steps = perEpoch * epochs
  const run = { imagesPerEpoch: perEpoch * batchSize, totalImages: steps * batchSize }
  const warmup = { images: recipe.warmupShare * run.totalImages }
  const schedule = schedules.warmup(schedules.cosine({ base: recipe.rate }), warmup)
  const optimizer = sgd({ momentum: recipe.momentum, weightDecay: recipe.weightDecay })
  let order: Uint32Array = new Uint32Array(0)
  const make = (index: number) => {
    const key = { seed, epoch: Math.floor(index / perEpoch) }
    const place = index % perEpoch
    if (place === 0) order = permutation(set.names.length, seed, key.epoch)
    const indices = order.subarray(place * batchSize, (place + 1) * batchSize)
    const images = augmentBatch(set.images, inputSize, indices, key, recipe.augment)
    return { images, labels: Int32Array.from(indices, (at) => set.labels[at]!) }
  }
  const began = performance.now()
  let batch = make(0)
  for (let index = 0; index < steps; index++) {
    throwIfAborted(signal)
    const rate = schedule.rate(index * batchSize, run)
    const running = model.step(batch, { optimizer, rate, signal })
    // A rejection must not go unhandled should make() throw first.
    running.catch(() => {})
    if (index + 1 < steps) batch = make(index + 1)
    const { loss, correct } = await running
    options.onStep?.({
      ...{ step: index + 1, steps, epoch: Math.floor(index / perEpoch) + 1, images: (index + 1) * batchSize },
      ...{ seconds: (performance.now() - began) / 1000, loss, correct, batch: batchSize },
    })
  }
  return { images: run.totalImages, seconds: (performance.now() - began) / 1000 }
}

export interface DemoScore {
  images: number
  /** Fractions, 0..1. */
  top1: number
  top5: number
  /** (N,K) row by row: images of class n taken for class k. */
  confusion: Int32Array
  /** (N,K) probabilities, one row an image. */
  probabilities: Float32Array
}

/** Classifies a whole set, `batchSize` at a time. Rejects with an AbortError on `signal`. */
export async function evaluateDemo(
  model: GoogLeNet,
  set: EmojiSet,
  options: { batchSize?: number; signal?: AbortSignal } = {},
): Promise<DemoScore> {
  const { batchSize = 64, signal } = options
  const classes = model.classes
  const size = model.options.inputSize
  const images = set.names.length
  const bytes = size * size * 3
  const probabilities = new Float32Array(images * classes)
  for (let from = 0; from < images; from += batchSize) {
    const count = Math.min(batchSize, images - from)
    const data = set.images.subarray(from * bytes, (from + count) * bytes)
    const { data: part } = await model.features({ data, shape: [count, size, size, 3] }, 'prob', { signal })
    probabilities.set(part, from * classes)
  }
  const confusion = new Int32Array(classes * classes)
  let first = 0
  let five = 0
  for (let image = 0; image < images; image++) {
    const row = probabilities.subarray(image * classes, (image + 1) * classes)
    const label = set.labels[image]!
    const above = row.reduce((count, value) => count + (value > row[label]! ? 1 : 0), 0)
    if (above === 0) first++
    if (above < 5) five++
    const guess = row.indexOf(Math.max(...row))
    confusion[label * classes + guess] = confusion[label * classes + guess]! + 1
  }
  return { images, top1: first / images, top5: five / images, confusion, probabilities }
}
