/**
 * Evaluation of one model, or of several whose probabilities are averaged (paper, section 7), over a dataset in its
 * order. With one crop the loader's threads decode; the views of 10 and 144 crops are made image by image.
 */
import { policies } from '../data/augment.js'
import type { ImageFolder } from '../data/dataset.js'
import { Loader, type LoaderSource } from '../data/loader.js'
import { type Photos, type Rendering, renderingFor } from '../data/rendering.js'
import { type ErrorCode, GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { checkInteger, checkKnown, checkOneOf, invalid } from '../options.js'
import { type Evaluation, Metrics } from '../train/metrics.js'
import { type Crops, cropsOf } from './crops.js'
import { PROBABILITIES } from './googlenet.js'
import { decodeImage, enoughFor } from './images.js'
import type { GoogLeNet } from './model.js'

/** How a dataset's images are read for inference. */
export interface CentreCropOptions {
  /** How images are brought to size; 'warp' (default) as Caffe. Only for one crop. */
  resize?: 'warp' | 'short' | 'none'
  /** Decoding threads. Default: all. */
  threads?: number
  /** An image that cannot be decoded is an error instead of being counted in `skipped`. Default false. */
  strict?: boolean
  signal?: AbortSignal
}
export interface EvaluateOptions extends CentreCropOptions {
  /** Views per image whose probabilities are averaged: 1 (centre, default), 10 (Caffe) or 144 (paper). */
  crops?: Crops
  onProgress?: (progress: { done: number; total: number }) => void
}

/** @throws GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_DISPOSED, what reading the data throws; AbortError */
export async function evaluate(
  models: readonly GoogLeNet[],
  data: ImageFolder,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  checkKnown('evaluate', options, ['crops', 'resize', 'threads', 'strict', 'onProgress', 'signal'])
  const { crops = 1, onProgress, signal } = options
  if (![1, 10, 144].includes(crops)) throw invalid('crops', '1, 10 or 144', crops)
  if (crops !== 1 && options.resize !== undefined)
    throw invalid('resize', `nothing with ${crops} crops, which have a way of their own`, options.resize)
  throwIfAborted(signal)
  if (!Array.isArray(models) || models.length === 0) throw invalid('models', 'a list of one model at least', models)
  const { classes, options: network } = models[0]!
  for (const model of models) {
    if (model.classes !== classes || model.options.inputSize !== network.inputSize) {
      throw invalid('models', `${classes} classes at ${network.inputSize} pixels, as the first`, {
        classes: model.classes,
        inputSize: model.options.inputSize,
      })
    }
  }
  if (data.classes.length !== classes) {
    throw invalid('data', `${classes} classes, as the model has`, `${data.classes.length} in ${data.dir}`)
  }
  const metrics = new Metrics(classes)
  const devices = models.map(({ device }) => device)
  const render = renderingFor(devices)
  const batchSize = Math.min(...models.map(enoughFor))
  const views =
    crops === 1
      ? centreCrops(data, network.inputSize, batchSize, render, options)
      : manyCrops(data, crops, network.inputSize, options)
  for await (const { images, labels, skipped } of views) {
    const probabilities = await averaged(models, images, labels.length, signal)
    labels.forEach((label, row) => {
      metrics.add(probabilities.subarray(row * classes, (row + 1) * classes), label)
    })
    metrics.skipped += skipped
    onProgress?.({ done: metrics.images + metrics.skipped, total: data.length })
  }
  if (metrics.images === 0)
    throw new GoogLeNetError('GOOGLENET_ERR_DATASET_EMPTY', `none of ${metrics.skipped} images could be decoded`)
  return metrics.result()
}

/** `images`: the views of each image, one after the other. */
interface Views {
  images: Float32Array | Photos
  labels: readonly number[]
  skipped: number
}

export async function* centreCrops(
  data: LoaderSource,
  size: number,
  batchSize: number,
  render: Rendering,
  options: CentreCropOptions,
): AsyncGenerator<Views> {
  const { threads = 0, strict = false, signal } = options
  const mode = checkOneOf('resize', options.resize ?? 'warp', ['warp', 'short', 'none'])
  const policy = policies.evaluate({ size, mode })
  checkInteger('threads', threads)
  await using loader = new Loader(data, { batchSize, policy, render, threads, strict, shuffle: false, signal })
  for await (const { images, labels, skipped, release } of loader) {
    yield { images, labels: [...labels], skipped: skipped.length }
    release()
  }
}

/** What an image may be that is counted in `skipped`. */
const UNREADABLE = new Set<ErrorCode>([
  'GOOGLENET_ERR_FILE_NOT_FOUND',
  'GOOGLENET_ERR_FILE_READ',
  'GOOGLENET_ERR_IMAGE_DECODE',
])

async function* manyCrops(
  data: ImageFolder,
  crops: 10 | 144,
  size: number,
  { strict, signal }: EvaluateOptions,
): AsyncGenerator<Views> {
  for (const { path, label } of data.samples) {
    throwIfAborted(signal)
    try {
      yield { images: await cropsOf(await decodeImage(path), crops, size), labels: [label], skipped: 0 }
    } catch (error) {
      if (strict || !(error instanceof GoogLeNetError && UNREADABLE.has(error.code))) throw error
      yield { images: new Float32Array(0), labels: [], skipped: 1 }
    }
  }
}

/** (count, classes): the mean over all models and all views of an image. */
async function averaged(
  models: readonly GoogLeNet[],
  images: Float32Array | Photos,
  count: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  if (count === 0) return new Float32Array(0)
  const { classes } = models[0]!
  const sums = new Float32Array(count * classes)
  for (const model of models) {
    const { data, shape } = await model.features(images, PROBABILITIES, { signal })
    const views = shape[0]! / count
    const share = 1 / (views * models.length)
    for (let view = 0; view < shape[0]!; view++) {
      const target = Math.floor(view / views) * classes
      for (let c = 0; c < classes; c++) sums[target + c]! += data[view * classes + c]! * share
    }
  }
  return sums
}
