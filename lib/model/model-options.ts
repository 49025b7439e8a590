/**
 * What a model is created with and what its calls take and return; the checks and defaults of creation.
 */
import type { Device } from '../device.js'
import type { Precision } from '../native.js'
import { checkBoolean, checkInteger, checkKnown, checkNumber, checkOneOf, checkStrings, invalid } from '../options.js'
import type { Optimizer } from '../train/optimizer.js'
import type { NetworkOptions } from './googlenet.js'
import type { Batch } from './images.js'

export interface CreateOptions extends NetworkOptions {
  /**
   * Default 'auto': the first GPU that can be used, else the processor; `model.deviceReason` says why, and the
   * environment variable GOOGLENET_DEVICE decides where it is set. 'cuda' throws when there is none, with what is missing.
   */
  device?: Device
  /**
   * What convolutions and fully connected layers are computed in; sums, losses, weights, momentum and files are f32 in
   * any of them. Default 'auto': f32, which differs from device to device by rounding alone. 'bf16' keeps activations
   * and their gradients in 8 bits of mantissa and half the memory; it needs a processor with AVX512_BF16 (Intel from
   * Cooper Lake and Sapphire Rapids, AMD from Zen 4) or a GPU of compute capability 8.0 (Ampere) or newer, where it
   * trains six times as fast (H200). 'tf32', for such GPUs alone, rounds the factors to 10 bits of mantissa. 'int8', for
   * inference on processors alone, is what load() takes for a file that model.calibrate() has given ranges: activations
   * and weights in 8 bits, sums in 32. Every processor can; those with AMX, AVX512_VNNI or AVX-VNNI are faster in it
   * than in f32, others slower.
   */
  precision?: 'auto' | Precision
  /** Default: all that affinity and cgroup quota allow. */
  threads?: number
  /**
   * Direct convolutions only. Default false: Winograd's algorithm where it is faster, which rounds a little more:
   * probabilities within 5e-6 of Caffe's instead of 1e-6.
   */
  exact?: boolean
  /**
   * CUDA: a step is recorded as one graph and replayed, which spares the processor some hundred launches a step and
   * gives the same bits. Default true; the processor has nothing to record, so there it changes nothing.
   */
  capture?: boolean
  /**
   * How much runs side by side. Default 1.
   *
   * On the processor, 1 to 64: calls of predict(), features() and evaluate(), and the pieces of a call with many images,
   * each on its part of the threads (one at least). With as many streams as threads and as many calls at once, more
   * images a second are classified one by one, and each takes longer; a call by itself has only its part of the threads.
   * Weights are shared, activations are not (`model.memory()`). Everything else is done alone, on all threads, in the
   * order of the calls.
   *
   * CUDA, 1 to 8: steps of one call that do not need each other, as the branches of a module, the auxiliary heads,
   * gradients of weights. Each stream has scratch memory of its own. No GPU has shown yet what more than one gains.
   *
   * The bits are those of one stream on CUDA; on the processor those of a model with as many threads as a stream has.
   */
  streams?: number
  /**
   * Time the ways to compute every convolution, and take the fastest. CUDA: the engines that cuDNN has, each checked
   * against a direct convolution, which takes minutes at the first step of a batch size; the processor: direct against
   * Winograd's where there is a choice (3x3 and 5x5, f32, not `exact`), which takes seconds. The choice is remembered in
   * the cache folder (docs/environment.md), so that later runs start at once and repeat the same bits. Default false:
   * cuDNN's first engine that is exact; on the processor a table by the number of pixels.
   */
  tune?: boolean
  /**
   * Demands that the same seed, data and number of threads give the same bits in every run. Default false; the CPU
   * does so in either case.
   */
  deterministic?: boolean
  /** Drives initialisation and dropout; the data has its own in fit(). Default 1. */
  seed?: number
  /** Names of the classes. */
  labels?: readonly string[]
}
/** The options with their defaults filled in, as they are saved with the weights. */
export type ModelOptions = Required<Omit<NetworkOptions, 'dropout'>> & {
  dropout: { main: number; auxiliary: number }
  seed: number
}
export interface Abortable {
  signal?: AbortSignal
}
export interface StepOptions extends Abortable {
  /** Default sgd(). */
  optimizer?: Optimizer
  /** Wins over the optimizer's rate. */
  rate?: number
  /** Parameter names that stay as they are. */
  frozen?: readonly string[]
  /**
   * The batch of the step after: its images cross to the GPU while this step computes. Not to be changed until then.
   * Without a GPU there is nothing to gain, and it is ignored.
   */
  next?: Batch | undefined
}
export interface StepOutcome {
  /** Weighted total of main and auxiliary losses, mean over the batch. */
  loss: number
  /** Right answers of the main head. */
  correct: number
  /** By head: loss1/loss1, loss2/loss2, loss3/loss3. */
  losses: Record<string, { loss: number; correct: number }>
  /** Global L2 norm before clipping. */
  gradientNorm: number
}
export interface Guess {
  label: string
  index: number
  probability: number
}
export interface PredictOptions extends Abortable {
  /** Guesses per image. Default 5. */
  top?: number
  /** How images are brought to size before the centre crop. Default 'warp', as Caffe. */
  resize?: 'warp' | 'short' | 'none'
}
export type FeatureOptions = Omit<PredictOptions, 'top'>
export interface Features {
  /** (N, C, H, W) */
  shape: readonly number[]
  data: Float32Array
}
export const CREATE_KEYS = [
  ...['classes', 'inputSize', 'width', 'auxiliary', 'dropout', 'block', 'filler'],
  ...['device', 'precision', 'threads', 'exact', 'capture', 'streams', 'tune', 'deterministic', 'seed', 'labels'],
]

/** Checks the options that describe the network and fills in the defaults. */
export function resolveOptions(given: CreateOptions): ModelOptions {
  const { auxiliary = true, deterministic = false, dropout = {} } = given
  checkBoolean('auxiliary', auxiliary)
  checkBoolean('deterministic', deterministic)
  checkKnown('dropout', dropout, ['main', 'auxiliary'])
  const ratio = (name: string, value: number) => checkNumber(`dropout.${name}`, value, { max: 0.99 })
  return {
    classes: checkInteger('classes', given.classes ?? 1000, { min: 2, max: 1_000_000 }),
    inputSize: checkInteger('inputSize', given.inputSize ?? 224, { min: 1, max: 4096 }),
    width: checkNumber('width', given.width ?? 1, { min: 0.01, max: 16 }),
    auxiliary,
    dropout: { main: ratio('main', dropout.main ?? 0.4), auxiliary: ratio('auxiliary', dropout.auxiliary ?? 0.7) },
    block: checkOneOf('block', given.block ?? 'reduced', ['reduced', 'naive']),
    filler: checkOneOf('filler', given.filler ?? 'xavier', ['xavier', 'msra']),
    seed: checkInteger('seed', given.seed ?? 1, { max: 2 ** 32 - 1 }),
  }
}

/** None, or one for each class. */
export function checkLabels(labels: readonly string[], classes: number): readonly string[] {
  const expected = `${classes} names, one per class`
  checkStrings('labels', labels, expected)
  if (labels.length > 0 && labels.length !== classes) throw invalid('labels', expected, labels)
  return [...labels]
}
