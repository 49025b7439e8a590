/**
 * The native addon: its typed surface, and how the binary is found and loaded (with advice when it is not).
 * Everything here is internal; the public names are in index.ts.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type ErrorCode, GoogLeNetError } from './errors.js'
import type { Filler, LayerRow, Phase } from './model/layer.js'

export interface NativeTensor {
  shape: readonly number[]
  data: Float32Array
}
/** uint8: (N,H,W,3) RGB, converted to BGR minus mean. float32: (N,C,H,W), taken as it is. */
export interface NativeInput {
  shape: readonly number[]
  data: Float32Array | Uint8Array
  /** The bytes are a block of photos (native/backend/photos.h), of which a GPU makes (N,3,H,W). */
  photos?: boolean
}
export interface LayerInfo {
  name: string
  op: string
  sources: string[]
  /** (C, H, W) of the output. */
  shape: [number, number, number]
  phase?: Phase
  /** Weights and biases. */
  parameters: number
  /** Multiply-accumulates for one image. */
  macs: number
  /** kernel, stride and pad as 'KxK/S', '' where there is none. */
  detail: string
}
export interface ParameterInfo {
  /** `<layer>.weight` (O,I/groups,kh,kw) or (O,I); `<layer>.bias` (O). */
  name: string
  layer: string
  shape: number[]
  phase?: Phase
  filler: Filler
  /** Caffe: weights 1 and 1, biases 2 and 0. */
  rateFactor: number
  decayFactor: number
}
/** A GPU; 'cuda' is 'cuda:0'. */
export type CudaDevice = 'cuda' | `cuda:${number}`
/** Where something computes. */
export type ComputeDevice = 'cpu' | CudaDevice
/** What convolutions and fully connected layers are computed in; sums, losses and parameters are f32 in any. */
export type Precision = 'f32' | 'tf32' | 'bf16' | 'int8'
/** What int8 has to know of a blob, the output of a convolution with a ReLU. */
export interface BlobCalibration {
  /** The value that 255 stands for: 8 bits hold round(value * 255 / range), cut to 255. Above 0. */
  range: number
  /** (C) of each channel over the images: what a rounded weight adds to the outputs on average, the bias takes off. */
  mean: Float32Array
}
/** What a blob's values were like. */
export interface Observation {
  images: number
  max: number
  /** A power of two above max; 0 when all values were 0. */
  range: number
  /** 2048 bins of [0, range), of the values above 0 alone. */
  histogram: Float64Array
  /** (C) */
  mean: Float32Array
}
export interface SessionOptions {
  layers: readonly LayerRow[]
  /** CPU threads; 0 = all that affinity and cgroup quota allow. */
  threads?: number
  device?: ComputeDevice
  /** Default 'f32', the CPU's only one. */
  precision?: Precision
  /** Of 'int8', by blob; blobs without an entry stay bf16. */
  calibration?: Record<string, BlobCalibration>
  /** Dropout key. */
  seed?: number
  /** Subtracted from B, G, R of uint8 input. */
  mean?: readonly [number, number, number]
  /** Direct convolutions only; default false: Winograd's where they are faster. */
  exact?: boolean
  /** CUDA: record whole steps as graphs and replay them; default true. */
  capture?: boolean
  /** CUDA: streams that steps run on side by side; CPU: inference runs served side by side. 1 to 64, default 1. */
  streams?: number
  /** Time the ways to compute every convolution once, remembered in the cache folder; default false. */
  tune?: boolean
  /** Keep all values (every blob can be read by run() while training); default false. */
  keepAll?: boolean
}
/** An optimiser's figures; those that its rule does not use are left out. See train/optimizer.ts. */
export interface RuleOptions {
  /** Default 'sgd'. */
  kind?: 'sgd' | 'nesterov' | 'adagrad' | 'rmsprop'
  rate: number
  momentum?: number
  weightDecay?: number
  /** Global L2 norm beyond which gradients are scaled down; 0 = never. */
  clip?: number
  decay?: number
  epsilon?: number
  initial?: number
  /** Layer name patterns resolved by TypeScript to parameter names that stay as they are. */
  frozen?: readonly string[]
}
export interface UpdateOptions extends RuleOptions {
  /** Counter that drives dropout; the step's number. */
  step: number
  /** The input of the next step, brought to a GPU while this one computes. */
  next?: NativeInput | undefined
  /** This input is what the step before was given as `next`, unchanged. */
  announced?: boolean
}
export interface StepResult {
  /** Weighted total of all losses. */
  loss: number
  /** By loss row: mean -log p and the number of right answers in the batch. */
  losses: Record<string, { loss: number; correct: number }>
  gradientNorm: number
}
export interface RunRequest {
  /** By name of an input row. */
  inputs: Record<string, NativeInput>
  labels?: Int32Array
  training: boolean
  /** Blobs to return as f32 (N,C,H,W). */
  outputs: readonly string[]
  /** Training only. Gradients of blobs nobody reads, to start the backward pass from (besides the loss rows). */
  gradients?: Record<string, NativeTensor>
  /** Training only: which inputs' gradients to return. Parameter gradients: getParameters('gradients'). */
  inputGradients?: readonly string[]
  step?: number
}
export interface RunResult {
  outputs: Record<string, NativeTensor>
  inputGradients: Record<string, NativeTensor>
  losses: Record<string, { loss: number; correct: number }>
}
export type ParameterSet = 'weights' | 'momentum' | 'squares' | 'average' | 'gradients'
export interface KernelInfo {
  /** Of a layer, or of several that are one step, ' + ' between. */
  name: string
  direction: 'forward' | 'backward data' | 'backward weights'
  /** A row's, or what the planner makes of rows: 'mask', 'sum', 'lrn + pool', 'pool + lrn'. */
  op: string
  /** For instance 'jit:avx512_core', 'winograd:avx512', 'own:avx2'. */
  implementation: string
  /** Of the whole batch. */
  macs: number
  milliseconds: number
}
export interface AverageOptions {
  kind: 'polyak' | 'ema'
  /** Updates before the average begins. */
  from: number
  decay?: number
}
export interface NativePush extends RuleOptions {
  scaleByStaleness?: boolean
  maxStaleness?: number
  /** Gradients whose mean makes one update; default 1. */
  group?: number
}
export interface Pushed {
  /** Number of the push, from 0: the order in which the store took them. */
  order: number
  /** Updates made since the weights were fetched that the gradient was computed on. */
  staleness: number
  /** False: too stale. */
  applied: boolean
  /** Made so far, by this push too. */
  updates: number
  storeSeconds: number
}
/** A worker with weights, activations, gradients and a thread of its own beside a session, whose store it serves; on the
 *  session's device or another one of its kind. */
export interface NativeReplica {
  compute(
    input: NativeInput,
    labels: Int32Array,
    options: {
      fetch: boolean
      step: number
      firstSample: number
      rate: number
      frozen?: readonly string[]
      push?: NativePush
    },
    cancel?: NativeCancel,
  ): Promise<StepResult & { base: number; storeSeconds: number; pushed?: Pushed }>
  push(options: NativePush): Promise<Pushed>
  discard(): Promise<void>
  flush(options: NativePush): Promise<number>
  memory(): MemoryParts
  dispose(): Promise<void>
}
export interface MemoryParts {
  parameters: number
  arena: number
  scratch: number
  kernels: number
}
export interface NativeCancel {
  cancel(): void
}
/** One model: parameters, plans and one worker thread, with `streams` on the CPU one more for each. Calls are served in
 *  order, inference runs that follow each other side by side on the streams; each promise is rejected with an Error whose
 *  `code` is one of errors.def. */
export interface NativeSession {
  readonly threads: number
  readonly deviceDescription: string
  readonly isa: 'avx512' | 'avx2' | 'portable'
  describe(): { layers: LayerInfo[]; parameters: ParameterInfo[] }
  /** Fills all parameters as their fillers say and zeroes the momentum. */
  initialize(seed: number): Promise<void>
  /** Tensors by parameter name; those not named stay. Shapes are checked. */
  setParameters(set: ParameterSet, tensors: Record<string, NativeTensor>): Promise<void>
  getParameters(set: ParameterSet, names?: readonly string[]): Promise<Record<string, NativeTensor>>
  /** Forward, backward, update. Aborted before the update: nothing has changed. */
  step(input: NativeInput, labels: Int32Array, options: UpdateOptions, cancel?: NativeCancel): Promise<StepResult>
  run(request: RunRequest, cancel?: NativeCancel): Promise<RunResult>
  /** Says which average is kept from now on, none by default, and how many updates have been made before. */
  configure(average: AverageOptions | undefined, updates: number): Promise<void>
  /** Weights and average change places. */
  swapAverage(): Promise<void>
  /** Bytes held: parameters (weights, gradients, optimiser state, average), arena, kernels' own weight copies. */
  memory(): MemoryParts
  /** One inference run, whose values behind the ReLUs of convolutions are counted. Not finite: all that was counted is
   *  forgotten. */
  observe(input: NativeInput, cancel?: NativeCancel): Promise<void>
  /** By blob, what was counted since this was last asked. */
  observations(): Promise<Record<string, Observation>>
  /** The kernels of the plan for a batch size, with the time each took in one timed run over random data. */
  profile(batch: number, training: boolean): Promise<KernelInfo[]>
  /** Idempotent; waits for the call that runs, rejects those that wait with DISPOSED. */
  dispose(): Promise<void>
}

export interface ImageSample {
  path: string
  label: number
  /** Identity for the random numbers: position in the dataset, independent of order and threads. */
  index: number
}
/** How a decoded image becomes the network's input; see data/augment.ts. */
export interface AugmentPolicy {
  /** Output height and width. */
  size: number
  /** 'warp': to resize x resize, ignoring the aspect; 'short': shorter side to resize; 'none': as it is. */
  resize: 'warp' | 'short' | 'none'
  resizeTo: number
  /** 'center', 'random' (of the resized image), 'area' (paper: 8-100 % of the area, aspect 3/4-4/3). */
  crop: 'center' | 'random' | 'area'
  areaMin: number
  areaMax: number
  aspectMin: number
  aspectMax: number
  /** Probability. */
  mirror: number
  /** Photometric distortion (Howard): brightness, contrast, saturation factors in 1 ± value, random order; 0 = off. */
  brightness: number
  contrast: number
  saturation: number
  /** Standard deviation of AlexNet's PCA lighting noise, 0 = off. */
  lighting: number
  /** B, G, R. */
  mean: readonly [number, number, number]
}
export interface ImageBatch {
  /** (N,3,size,size) f32, BGR minus mean; N is what could be decoded. Or a block of as many photos. */
  images: Float32Array | Uint8Array
  count: number
  labels: Int32Array
  /** `index` of the samples in the batch, in order. */
  indices: Int32Array
  /** code: GOOGLENET_ERR_UNSUPPORTED for what is no JPEG, else why it could not be read or decoded. */
  skipped: { path: string; index: number; code: ErrorCode; message: string }[]
}
/** Native decoding threads with a bounded queue of finished batches, in the order of submission. */
export interface NativePipeline {
  /** Queues one batch; samples keep their order. epoch is part of the random key. */
  push(samples: readonly ImageSample[], epoch: number): void
  /** Resolves with the oldest queued batch. */
  next(): Promise<ImageBatch>
  dispose(): Promise<void>
}
export interface PipelineOptions {
  policy: AugmentPolicy
  /** Batches of photos instead of images; default false. */
  photos?: boolean
  seed: number
  threads: number
}
export interface DecodedImage {
  width: number
  height: number
  /** (H,W,3) RGB. */
  data: Uint8Array
}

export interface NativeModule {
  /** What the CPU backend stands on, with versions: 'oneDNN 3.7.2'. */
  libraries: string
  Session: new (options: SessionOptions) => NativeSession
  Pipeline: new (options: PipelineOptions) => NativePipeline
  Replica: new (session: NativeSession, options: { threads: number; device: ComputeDevice }) => NativeReplica
  Cancel: new () => NativeCancel
  /** JPEG to RGB on a libuv thread (greyscale and CMYK included). */
  decodeJpeg(encoded: Uint8Array): Promise<DecodedImage>
  /** Detaches a pipeline's images: their memory goes back to it now, not when the garbage collector comes. */
  releaseImages(images: Float32Array | Uint8Array): void
  /** One image through the augmentation on a libuv thread, for predict() and files that are no JPEG: RGB (H,W,3), which
   *  is read meanwhile -> (3,size,size) f32. Throws and rejects with INVALID_ARGUMENT, INVALID_SHAPE, OUT_OF_MEMORY. */
  augment(image: DecodedImage, policy: AugmentPolicy, seed: number, epoch: number, index: number): Promise<Float32Array>
  /** The same image as a block of one photo, for a device to augment. */
  packPhoto(image: DecodedImage, policy: AugmentPolicy, seed: number, epoch: number, index: number): Promise<Uint8Array>
  /** Some photos of several blocks as one. Throws INVALID_ARGUMENT for what is no block, INVALID_SHAPE. */
  joinPhotos(parts: readonly { photos: Uint8Array; from: number; count: number }[]): Uint8Array
  availableCores(): number
  /** Opens a device and closes it: what it is. Throws DEVICE_UNAVAILABLE with what is missing and how to mend it. */
  probe(device: ComputeDevice): string
}

const require = createRequire(import.meta.url)
const load = require('node-gyp-build') as { (folder: string): NativeModule; resolve(folder: string): string }
let loaded: NativeModule | undefined

/** The folder of package.json. */
export const PACKAGE_ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The addon's file; undefined where there is none for this machine. */
export function addonFile(): string | undefined {
  try {
    return load.resolve(PACKAGE_ROOT)
  } catch {
    return undefined
  }
}

/** Loads the addon once. Throws GOOGLENET_ERR_NATIVE_NOT_FOUND with what was looked for and the command that mends it. */
export function native(): NativeModule {
  if (loaded) return loaded
  try {
    loaded = load(PACKAGE_ROOT)
    return loaded
  } catch (cause) {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_NATIVE_NOT_FOUND',
      `no native binary of googlenet could be loaded for ${process.platform}-${process.arch}, Node ${process.version} ` +
        `(looked in build/Release and prebuilds/): ${(cause as Error).message}\n` +
        'Compile it here: npx googlenet build (in a checkout: npm run build)',
      { cause },
    )
  }
}
