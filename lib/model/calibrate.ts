/**
 * Calibration for int8: images pass through the network, the native side counts what its ReLUs let through, and of that
 * come each blob's range and means. Neither labels nor gradients take part; some hundred photos suffice.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ImageFolder } from '../data/dataset.js'
import type { LoaderSource } from '../data/loader.js'
import { renderingFor } from '../data/rendering.js'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import type { BlobCalibration, ComputeDevice, LayerInfo, NativeInput, Observation } from '../native.js'
import { checkInteger, checkKnown, invalid } from '../options.js'
import type { Calibration } from '../weights/calibration.js'
import { type CentreCropOptions, centreCrops } from './evaluate.js'
import { type ImageInput, type ImageTensor, isTensor, largestPiece, partOf, prepare, toInput } from './images.js'
import { type Method, type RangeChoice, rangeChoice, rangeOf } from './ranges.js'

export interface CalibrateOptions extends CentreCropOptions {
  /**
   * How a blob's range follows from its values. 'minmax' (default): it holds the largest. 'percentile': it holds that
   * share of all that are not 0. 'entropy': the one whose 8-bit form tells most of the distribution.
   */
  method?: Method
  /** Of method 'percentile', in per cent. Default 99.99. */
  percentile?: number
  /** At most so many of a folder's images, drawn at random, the same ones every time. Default: all. */
  limit?: number
  /** Images a run. Default 8, on a GPU 128. */
  batchSize?: number
  onProgress?: (progress: { done: number; total: number }) => void
}
const OPTIONS = [
  ...['method', 'percentile', 'limit', 'batchSize'],
  ...['resize', 'threads', 'strict', 'onProgress', 'signal'],
]

/** As predict() and evaluate() take them. */
export type CalibrationImages = ImageFolder | readonly ImageInput[] | ImageTensor

/** The native side of it. */
export interface Watch {
  observe(input: NativeInput, signal?: AbortSignal): Promise<void>
  /** What was counted since the last time. */
  observations(): Promise<Record<string, Observation>>
}

/** Makes a model's calibration and drops it when the weights change. */
export class Calibrator {
  #changes = 0
  #busy = false

  constructor(
    private readonly device: ComputeDevice,
    private readonly inputSize: number,
    public current: Calibration | undefined,
    private readonly watch: Watch,
  ) {}

  weightsChanged(): void {
    this.#changes++
    this.current = undefined
  }

  /** See GoogLeNet.calibrate. */
  async run(images: CalibrationImages, options: CalibrateOptions): Promise<Calibration> {
    checkKnown('calibrate', options, OPTIONS)
    const { method, percentile, limit, batchSize = largestPiece(this.device), signal } = options
    const choice = rangeChoice(method, percentile)
    checkInteger('batchSize', batchSize, { min: 1, max: 4096 })
    if (limit !== undefined) checkInteger('limit', limit, { min: 1 })
    throwIfAborted(signal)
    if (this.#busy) throw invalid('calibrate()', 'one call at a time', 'a second before the first has ended')
    this.#busy = true
    const before = this.#changes
    try {
      const { seen, observations } = await this.#observe(images, { ...options, batchSize })
      const blobs = await rangesOf(observations, choice, signal)
      if (before !== this.#changes) throw invalid('calibrate()', 'weights that stay as they are', 'others meanwhile')
      this.current = { ...choice, images: seen, blobs }
      return this.current
    } finally {
      this.#busy = false
    }
  }

  async #observe(images: CalibrationImages, options: Reading) {
    const { signal, onProgress } = options
    let seen = 0
    let observations: Record<string, Observation> = {}
    try {
      for await (const { input, done, total } of batches(images, this.device, this.inputSize, options)) {
        if (input) await this.watch.observe(input, signal)
        seen += input?.shape[0] ?? 0
        onProgress?.({ done, total })
      }
    } finally {
      observations = await this.watch.observations()
    }
    if (seen === 0) throw invalid('images', 'at least one image that can be decoded', 'none')
    return { seen, observations }
  }
}

/** A blob that was 0 throughout has no range, and no entry. */
async function rangesOf(observations: Record<string, Observation>, choice: RangeChoice, signal?: AbortSignal) {
  const blobs = new Map<string, BlobCalibration>()
  for (const [blob, values] of Object.entries(observations)) {
    await nextTurn()
    throwIfAborted(signal)
    const range = Math.fround(rangeOf(values, choice))
    if (range > 0) blobs.set(blob, { range, mean: values.mean })
  }
  if (blobs.size === 0) {
    const why = 'the images or the weights hold values that are not finite, or all are 0'
    throw new GoogLeNetError('GOOGLENET_ERR_NOT_FINITE', `calibrate(): no convolution let anything through; ${why}`)
  }
  return blobs
}

type Reading = CalibrateOptions & { batchSize: number }

/** `done` and `total` count images, those that could not be decoded too. */
async function* batches(images: CalibrationImages, device: ComputeDevice, inputSize: number, reading: Reading) {
  const { batchSize, limit, resize = 'warp' } = reading
  let done = 0
  if (images instanceof ImageFolder) {
    const source = limit === undefined ? images : draw(images, limit)
    const total = source.samples.length
    const render = renderingFor([device])
    for await (const { images, labels, skipped } of centreCrops(source, inputSize, batchSize, render, reading)) {
      done += labels.length + skipped
      yield { input: labels.length > 0 ? toInput(images, inputSize) : undefined, done, total }
    }
    return
  }
  if (limit !== undefined) throw invalid('limit', 'an ImageFolder to draw from', 'other images')
  if (!isTensor(images) && !Array.isArray(images)) throw invalid('images', 'an ImageFolder, a list or a batch', images)
  const tensor = isTensor(images) ? toInput(images, inputSize) : undefined
  // ReLUs turn NaN into 0, so ranges would not show it.
  if (tensor?.data.some((value) => !Number.isFinite(value)))
    throw new GoogLeNetError('GOOGLENET_ERR_NOT_FINITE', 'images: expected finite values, got NaN or infinite ones')
  const list = isTensor(images) ? [] : images
  const total = tensor?.shape[0] ?? list.length
  for (; done < total; ) {
    const count = Math.min(batchSize, total - done)
    const input = tensor
      ? partOf(tensor, done, count)
      : toInput(await prepare(list.slice(done, done + count), inputSize, resize), inputSize)
    done += count
    yield { input, done, total }
  }
}

function draw(folder: ImageFolder, limit: number): LoaderSource {
  const samples = [...folder.order(0, 0)].slice(0, limit).map((index) => folder.samples[index]!)
  return { samples, order: () => samples.map((_, index) => index) }
}

/** @throws GOOGLENET_ERR_WEIGHTS_MISMATCH for blobs that the network lacks or has with other channels */
export function checkCalibration({ blobs }: Calibration, layers: readonly LayerInfo[]): void {
  const channels = new Map(layers.filter(({ op }) => op === 'conv').map(({ name, shape }) => [name, shape[0]]))
  for (const [blob, { mean }] of blobs) {
    if (channels.get(blob) === mean.length) continue
    const expected = channels.has(blob) ? `${channels.get(blob)} channels` : 'no such convolution'
    throw new GoogLeNetError(
      'GOOGLENET_ERR_WEIGHTS_MISMATCH',
      `the calibration does not fit the network: ${blob}: expected ${expected}, got ${mean.length} channels; calibrate again`,
    )
  }
}
