/**
 * GoogLeNet as users hold it: create or load one, train it step by step or with fit(), classify, read features,
 * calibrate, save, dispose. The work happens on the native session's own thread; every heavy call returns a promise, takes
 * `{ signal }` and stops at the next step with an AbortError.
 */
import { IMAGENET_MEAN } from '../data/augment.js'
import type { ImageFolder } from '../data/dataset.js'
import type { Photos } from '../data/rendering.js'
import { checkWorkerDevice, chooseDevice } from '../device.js'
import { fromNative } from '../errors.js'
import { cancellable, DisposeGuard, throwIfAborted } from '../lifetime.js'
import {
  type AverageOptions,
  type ComputeDevice,
  type KernelInfo,
  type LayerInfo,
  type NativeInput,
  type NativeSession,
  type NativeTensor,
  native,
  type ParameterSet,
  type Precision,
} from '../native.js'
import { checkBoolean, checkInteger, checkKnown, checkNumber, checkStrings } from '../options.js'
import { choosePrecision, refuseInt8, requireCalibration } from '../precision.js'
import type { FitEvent } from '../train/events.js'
import type { Evaluation } from '../train/metrics.js'
import { topClasses } from '../train/metrics.js'
import { checkOptimizer, sgd } from '../train/optimizer.js'
import { type FitOptions, train } from '../train/trainer.js'
import { ReplicaWorker, type Worker } from '../train/worker.js'
import type { Calibration } from '../weights/calibration.js'
import type { TensorMap } from '../weights/safetensors.js'
import { type CalibrateOptions, type CalibrationImages, Calibrator, checkCalibration } from './calibrate.js'
import { type EvaluateOptions, evaluate } from './evaluate.js'
import { featuresOf } from './features.js'
import { googlenet, MAIN_LOSS, PROBABILITIES } from './googlenet.js'
import { type Batch, checkBatch, type ImageInput, type ImageTensor, isTensor, toInput, toLabels } from './images.js'
import { labelOf } from './labels.js'
import { openNetwork } from './load.js'
import {
  type Abortable,
  CREATE_KEYS,
  type CreateOptions,
  checkLabels,
  type FeatureOptions,
  type Features,
  type Guess,
  type ModelOptions,
  type PredictOptions,
  resolveOptions,
  type StepOptions,
  type StepOutcome,
} from './model-options.js'
import { saveFile } from './save.js'
import { type Summary, shapeAtInference, summarize } from './summary.js'

export class GoogLeNet {
  readonly options: Readonly<ModelOptions>
  readonly device: ComputeDevice
  readonly deviceReason: string
  readonly precision: Precision
  readonly precisionReason: string
  readonly threads: number
  readonly streams: number
  readonly #session: NativeSession
  #labels: readonly string[]
  readonly #guard: DisposeGuard
  readonly #layers: LayerInfo[]
  readonly #workers = new Set<ReplicaWorker>()
  #steps = 0
  /** Steps that were asked for and have not ended. */
  #waiting = 0
  /** The last step's `next`, unless that step failed: it may not have come to it. */
  #announced: NativeInput['data'] | undefined
  readonly #calibrator: Calibrator

  private constructor(given: CreateOptions, calibration?: Calibration) {
    const { device, deviceReason } = chooseDevice(given.device)
    const threads = given.threads === undefined ? 0 : checkInteger('threads', given.threads, { min: 1, max: 1024 })
    const { exact = false, capture = true, tune = false } = given
    for (const [name, value] of Object.entries({ exact, capture, tune })) checkBoolean(name, value)
    const streams = checkInteger('streams', given.streams ?? 1, { min: 1, max: device === 'cpu' ? 64 : 8 })
    const { precision, precisionReason } = choosePrecision(given.precision, device, exact)
    this.options = resolveOptions(given)
    this.#labels = checkLabels(given.labels ?? [], this.options.classes)
    const layers = googlenet(this.options)
    try {
      const { seed } = this.options
      const ranges = precision === 'int8' && { calibration: Object.fromEntries(calibration?.blobs ?? []) }
      const engine = { threads, device, precision, ...ranges, exact, capture, streams, tune }
      this.#session = new (native().Session)({ layers, ...engine, seed, mean: IMAGENET_MEAN })
    } catch (error) {
      throw fromNative(error)
    }
    this.device = device
    this.deviceReason = deviceReason
    this.precision = precision
    this.precisionReason = precisionReason
    this.threads = this.#session.threads
    this.streams = streams
    this.#guard = new DisposeGuard('model', async () => {
      await Promise.all([...this.#workers].map((worker) => worker.dispose()))
      await this.#session.dispose()
    })
    this.#layers = this.#session.describe().layers
    this.#calibrator = new Calibrator(device, this.options.inputSize, calibration, {
      observe: (input, signal) => this.#call((cancel) => this.#session.observe(input, cancel), signal),
      observations: () => this.#call(() => this.#session.observations()),
    })
  }

  /**
   * A network with fresh weights (Caffe's fillers).
   *
   * @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_DEVICE_UNAVAILABLE,
   * GOOGLENET_ERR_UNSUPPORTED, GOOGLENET_ERR_OUT_OF_MEMORY, GOOGLENET_ERR_NATIVE_NOT_FOUND
   */
  static async create(options: CreateOptions = {}): Promise<GoogLeNet> {
    checkKnown('GoogLeNet.create', options, CREATE_KEYS)
    if (options.precision === 'int8') requireCalibration(undefined, 'fresh weights have none')
    const model = new GoogLeNet(options)
    await model.#call(() => model.#session.initialize(model.options.seed))
    return model
  }

  /**
   * Weights from .safetensors (ours or with Caffe's names) or .caffemodel, with the network they describe. Options
   * win over the file: other `classes` start with fresh classifiers (fine-tuning); `auxiliary: true` adds fresh
   * heads to a file without them. `precision: 'int8'` takes files that were saved with a calibration.
   *
   * @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_INVALID_FILE, GOOGLENET_ERR_WEIGHTS_MISMATCH and as create()
   */
  static async load(path: string, options: CreateOptions & Abortable = {}): Promise<GoogLeNet> {
    checkKnown('GoogLeNet.load', options, [...CREATE_KEYS, 'signal'])
    const { signal, ...given } = options
    chooseDevice(given.device)
    const file = await openNetwork(path, given, signal)
    if (given.precision === 'int8') requireCalibration(file.calibration, file.uncalibrated)
    const description = { ...given, ...file.options, labels: given.labels ?? file.labels }
    const model = new GoogLeNet(description, file.calibration)
    try {
      if (file.calibration) checkCalibration(file.calibration, model.#layers)
      await model.#call(() => model.#session.initialize(model.options.seed))
      const weights = file.match(model.#session.describe().parameters)
      await model.#call(() => model.#session.setParameters('weights', Object.fromEntries(weights)))
      return model
    } catch (error) {
      await model.dispose()
      throw error
    }
  }

  get classes(): number {
    return this.options.classes
  }

  /** Names of the classes, empty when they have none. */
  get labels(): readonly string[] {
    return this.#labels
  }

  /** What calibrate() measured or the file brought; none once the weights have changed. */
  get calibration(): Calibration | undefined {
    return this.#calibrator.current
  }

  /** Updates made so far. */
  get steps(): number {
    return this.#steps
  }

  /**
   * Forward, backward and update with one batch. Aborted before the update, nothing has changed.
   *
   * @throws GOOGLENET_ERR_INVALID_SHAPE, GOOGLENET_ERR_LABEL_OUT_OF_RANGE, GOOGLENET_ERR_NOT_FINITE (the weights
   * stay as they were), GOOGLENET_ERR_DISPOSED; AbortError
   */
  async step(batch: Batch, options: StepOptions = {}): Promise<StepOutcome> {
    refuseInt8(this.precision, 'step()')
    checkKnown('step', options, ['optimizer', 'rate', 'frozen', 'next', 'signal'])
    checkBatch('batch', batch)
    const { optimizer = sgd(), frozen = [], next, signal } = options
    checkOptimizer(optimizer)
    checkStrings('frozen', frozen)
    const rate = checkNumber('rate', options.rate ?? optimizer.rate)
    const input = toInput(batch.images, this.options.inputSize)
    const labels = toLabels(batch.labels, input.shape[0]!, this.classes)
    const following = next && toInput(checkBatch('next', next).images, this.options.inputSize)
    const announced = input.data === this.#announced
    this.#announced = following?.data
    const update = { ...optimizer, rate, step: this.#steps + this.#waiting++, frozen, next: following, announced }
    const call = this.#call((cancel) => this.#session.step(input, labels, update, cancel), signal)
    const ended = () => this.#waiting--
    call.then(ended, () => {
      ended()
      this.#announced = undefined
    })
    const result = await call
    this.#steps++
    this.#calibrator.weightsChanged()
    return { ...result, correct: result.losses[MAIN_LOSS]!.correct }
  }

  /**
   * Trains over a dataset, whose class names the model takes if it has none; see FitOptions. Leaving the loop stops the
   * run after its current step.
   */
  fit(data: ImageFolder, options: FitOptions = {}): AsyncGenerator<FitEvent, void, undefined> {
    this.#guard.check()
    refuseInt8(this.precision, 'fit()')
    const events = train(this, data, options)
    if (this.#labels.length === 0) this.#labels = [...data.classes]
    return events
  }

  /** The most probable classes, best first: of one image a list, of several images a list of lists. */
  predict(image: ImageInput, options?: PredictOptions): Promise<Guess[]>
  predict(images: readonly ImageInput[] | ImageTensor, options?: PredictOptions): Promise<Guess[][]>
  async predict(images: ImageInput | readonly ImageInput[] | ImageTensor, options: PredictOptions = {}) {
    checkKnown('predict', options, ['top', 'signal', 'resize'])
    const { top = 5, ...rest } = options
    checkInteger('top', top, { min: 1 })
    const { data, shape } = await this.features(images, PROBABILITIES, rest)
    const guesses = Array.from({ length: shape[0]! }, (_, row) => {
      const probabilities = data.subarray(row * this.classes, (row + 1) * this.classes)
      return topClasses(probabilities, top).map((index) => ({
        label: labelOf(this.labels, index),
        index,
        probability: probabilities[index]!,
      }))
    })
    return Array.isArray(images) || isTensor(images) ? guesses : guesses[0]!
  }

  /**
   * Values of a blob at inference, for one image or many: 'pool5/7x7_s1', 'inception_4a/output', 'prob', …
   *
   * @throws GOOGLENET_ERR_INVALID_ARGUMENT for an unknown blob, and what decoding the images throws
   */
  async features(
    images: ImageInput | readonly ImageInput[] | ImageTensor | Photos,
    blob: string,
    options: FeatureOptions = {},
  ): Promise<Features> {
    checkKnown('features', options, ['signal', 'resize'])
    this.#guard.check()
    const { signal, resize = 'warp' } = options
    throwIfAborted(signal)
    return featuresOf(this, images, shapeAtInference(this.#layers, blob), resize, async (data) => {
      const request = { inputs: { data }, training: false, outputs: [blob] }
      const { outputs } = await this.#call((cancel) => this.#session.run(request, cancel), signal)
      return outputs[blob]!.data
    })
  }

  /** Top-1, top-5 and loss over a dataset. */
  evaluate(data: ImageFolder, options: EvaluateOptions = {}): Promise<Evaluation> {
    this.#guard.check()
    return evaluate([this], data, options)
  }

  /**
   * Measures on images like those to come what int8 has to know of the activations: ranges and means, kept in
   * `calibration` and saved with the weights, for `GoogLeNet.load(file, { precision: 'int8' })`. Training and other
   * weights make it stale, and it is dropped.
   *
   * @throws GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_UNSUPPORTED for a model in int8, GOOGLENET_ERR_NOT_FINITE,
   * what decoding the images throws; AbortError
   */
  async calibrate(images: CalibrationImages, options: CalibrateOptions = {}): Promise<Calibration> {
    this.#guard.check()
    refuseInt8(this.precision, 'calibrate()')
    return this.#calibrator.run(images, options)
  }

  /**
   * Writes weights, options, labels and calibration as .safetensors, or the weights alone as .caffemodel. Replaces the file whole
   * or leaves it as it was.
   *
   * @throws GOOGLENET_ERR_FILE_WRITE, GOOGLENET_ERR_UNSUPPORTED for another ending, GOOGLENET_ERR_DISPOSED; AbortError
   */
  async save(path: string, options: Abortable = {}): Promise<void> {
    checkKnown('save', options, ['signal'])
    const { calibration } = this
    const weights = await this.parameters('weights')
    await saveFile(path, { weights, ...this.description(), calibration }, options.signal)
  }

  /** What is saved beside the weights. */
  description() {
    const preprocessing = { channels: 'BGR' as const, mean: [...IMAGENET_MEAN], scale: 1 }
    return { model: { ...this.options }, labels: [...this.labels], preprocessing }
  }

  /** Copies of weights, optimiser state, average or gradients (of the last step) by name: `<layer>.weight`, `<layer>.bias`. */
  async parameters(set: ParameterSet = 'weights', names?: readonly string[]): Promise<TensorMap> {
    return new Map(Object.entries(await this.#call(() => this.#session.getParameters(set, names))))
  }

  /** @throws GOOGLENET_ERR_INVALID_SHAPE, GOOGLENET_ERR_INVALID_ARGUMENT for unknown names; others stay as they are */
  async setParameters(set: ParameterSet, tensors: ReadonlyMap<string, NativeTensor>): Promise<void> {
    refuseInt8(this.precision, 'setParameters()')
    const call = this.#call(() => this.#session.setParameters(set, Object.fromEntries(tensors)))
    await (set === 'weights' ? call.finally(() => this.#calibrator.weightsChanged()) : call)
  }

  /** Says how many steps have been made: dropout depends on it. */
  countSteps(steps: number): void {
    this.#steps = steps
  }

  /**
   * A worker for a training loop of your own: a copy of the network with its own weights and threads, which fetches
   * the model's weights and pushes gradients to them. Ends with the model, if not disposed of before. `device`: the
   * model's (default), or another one of its kind, 'cuda:1' for a model on 'cuda:0'; weights and gradients then cross
   * from card to card, directly where the cards reach each other.
   *
   * @throws GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_DEVICE_UNAVAILABLE, GOOGLENET_ERR_DISPOSED
   */
  worker(options: { threads?: number; device?: ComputeDevice } = {}): Worker {
    this.#guard.check()
    refuseInt8(this.precision, 'worker()')
    checkKnown('worker', options, ['threads', 'device'])
    const { threads = 1, device = this.device } = options
    checkInteger('threads', threads, { min: 1, max: 1024 })
    checkWorkerDevice('device', device, this.device)
    const replica = new (native().Replica)(this.#session, { threads, device })
    const worker: ReplicaWorker = new ReplicaWorker(replica, this.options.inputSize, this.classes, {
      onPush: () => this.#calibrator.weightsChanged(),
      onDispose: () => this.#workers.delete(worker),
    })
    this.#workers.add(worker)
    return worker
  }

  /** Which average of the weights is kept from now on; `updates`: made so far. */
  async keepAverage(average: AverageOptions | undefined, updates: number): Promise<void> {
    await this.#call(() => this.#session.configure(average, updates))
  }

  /** What `body` sees of the weights is their average. */
  async withAverage<T>(body: () => Promise<T>): Promise<T> {
    await this.#call(() => this.#session.swapAverage())
    try {
      return await body()
    } finally {
      if (!this.#guard.disposed) await this.#call(() => this.#session.swapAverage())
    }
  }

  /** Names of all parameters, in the network's order. */
  parameterNames(): string[] {
    this.#guard.check()
    return this.#session.describe().parameters.map(({ name }) => name)
  }

  /** Layers, shapes, parameters and multiply-accumulates. */
  summary(): Summary {
    return summarize(this.#layers)
  }

  /**
   * Bytes held natively: parameters (weights, gradients, optimiser state, average), arena, scratch, what kernels hold
   * of their own (copies of weights; on a GPU inputs on their way too), and all of that of its workers.
   */
  memory() {
    this.#guard.check()
    const parts = this.#session.memory()
    const workers = [...this.#workers].reduce((bytes, worker) => bytes + worker.memory(), 0)
    return { ...parts, workers, total: parts.parameters + parts.arena + parts.scratch + parts.kernels + workers }
  }

  /** The kernels of the plan for a batch size, each with the time it took in one run over random data. */
  profile(batch: number, options: { training?: boolean } = {}): Promise<KernelInfo[]> {
    checkInteger('batch', batch, { min: 1, max: 65536 })
    checkKnown('profile', options, ['training'])
    const training = checkBoolean('training', options.training ?? false)
    return this.#call(() => this.#session.profile(batch, training))
  }

  /** Waits for the call that runs, rejects those that wait; idempotent. */
  dispose(): Promise<void> {
    return this.#guard.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  /** Submits a native call at once, so that calls are served in the order they were made in. */
  async #call<T>(call: Parameters<typeof cancellable<T>>[1], signal?: AbortSignal): Promise<T> {
    this.#guard.check()
    return cancellable(signal, call)
  }
}
