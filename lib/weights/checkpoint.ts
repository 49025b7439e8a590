/**
 * Model files and training checkpoints: one safetensors file each, weights under their plain Caffe names, the
 * rest as JSON in the metadata. A checkpoint adds what the optimiser keeps (`momentum/<name>`, `squares/<name>`),
 * optionally `average/<name>`, and the trainer's state, which together resume a run bit for bit; loaded as a model it is
 * just its weights. A calibrated model adds what calibration.ts says.
 */
import { extname } from 'node:path'
import { z } from 'zod'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { readCaffemodel } from './caffemodel.js'
import { type Calibration, calibrationSchema, calibrationTensors, splitCalibration } from './calibration.js'
import { type IoOptions, invalidFile, readFully, withFile } from './file.js'
import { readSafetensors, type Tensor, type TensorMap, writeSafetensors } from './safetensors.js'

export const MODEL_FORMAT = 'googlenet-model/1'
export const CHECKPOINT_FORMAT = 'googlenet-checkpoint/1'

/** Options of the network table. Keys that a newer version adds are kept. */
export interface SavedModelOptions {
  classes: number
  /** Pixels. */
  inputSize: number
  width: number
  auxiliary: boolean
  block: 'reduced' | 'naive'
  /** Probability of dropping before the main classifier and in the auxiliary heads. */
  dropout: { main?: number; auxiliary?: number }
  seed: number
}

/** How pixels become the network's input: channel order, then (value - mean) * scale. */
export interface SavedPreprocessing {
  channels: 'BGR' | 'RGB'
  mean: number[]
  scale: number
}

/** Where a run stands. */
export interface TrainingState {
  step: number
  epoch: number
  imagesSeen: number
  /** Samples taken from the current epoch's order. */
  position: number
  /** Fingerprint of the data set; what to do about other data is the trainer's decision. */
  dataset: string
  seed: number
  /** Plain options, kept as they are; their owner validates them. */
  optimizer: object
  schedule: object
  /** Best figures so far, such as top1; rates are fractions. */
  best: Record<string, number>
}

const count = z.int().min(0)
const modelOptionsSchema: z.ZodType<SavedModelOptions> = z.looseObject({
  classes: z.int().min(1),
  inputSize: z.int().min(1),
  width: z.number().positive(),
  auxiliary: z.boolean(),
  block: z.enum(['reduced', 'naive']),
  dropout: z.looseObject({ main: z.number().optional(), auxiliary: z.number().optional() }),
  seed: count,
})
const preprocessingSchema: z.ZodType<SavedPreprocessing> = z.looseObject({
  channels: z.enum(['BGR', 'RGB']),
  mean: z.array(z.number()),
  scale: z.number(),
})
const trainingStateSchema: z.ZodType<TrainingState> = z.looseObject({
  step: count,
  epoch: count,
  imagesSeen: count,
  position: count,
  dataset: z.string(),
  seed: count,
  optimizer: z.record(z.string(), z.json()),
  schedule: z.record(z.string(), z.json()),
  best: z.record(z.string(), z.number()),
})
const labelsSchema = z.array(z.string())

export interface SavedModel {
  weights: TensorMap
  model: SavedModelOptions
  /** In the order of the classifier's outputs; absent when unknown. */
  labels?: string[]
  preprocessing?: SavedPreprocessing
  /** Of a model file alone: whoever trains on makes it stale. */
  calibration?: Calibration
}

export interface Checkpoint extends Omit<SavedModel, 'calibration'> {
  /** What the optimiser keeps: same names and shapes as the weights that are trained. */
  momentum: TensorMap
  squares?: TensorMap
  /** Averaged weights, when averaging is on. */
  average?: TensorMap
  state: TrainingState
}

/** Weights of any supported file; the rest only where the file says it. */
export interface LoadedModel {
  weights: TensorMap
  model?: SavedModelOptions
  /** Of a file without a model's description. */
  inputSize?: number
  labels?: string[]
  preprocessing?: SavedPreprocessing
  calibration?: Calibration
}

/** @throws GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_FILE_WRITE; AbortError */
export async function saveModel(path: string, saved: SavedModel, options: IoOptions = {}): Promise<void> {
  const { weights, calibration } = saved
  const metadata = modelMetadata(MODEL_FORMAT, saved)
  if (!calibration) return await writeSafetensors(path, weights, metadata, options)
  const { blobs: _, ...origin } = calibration
  const tensors = new Map([...weights, ...calibrationTensors(calibration)])
  const described = { ...metadata, calibration: encodeJson('calibration', calibrationSchema, origin) }
  await writeSafetensors(path, tensors, described, options)
}

/**
 * Saves a checkpoint atomically: an interrupted save leaves the previous checkpoint readable.
 *
 * @throws GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_FILE_WRITE; AbortError
 */
export async function saveCheckpoint(path: string, saved: Checkpoint, options: IoOptions = {}): Promise<void> {
  const problem = misfits(saved)
  if (problem) throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `checkpoint: ${problem}`)
  const tensors = new Map(saved.weights)
  for (const shadow of SHADOWS) {
    for (const [name, tensor] of saved[shadow] ?? []) tensors.set(`${shadow}/${name}`, tensor)
  }
  const state = encodeJson('state', trainingStateSchema, saved.state)
  await writeSafetensors(path, tensors, { ...modelMetadata(CHECKPOINT_FORMAT, saved), state }, options)
}

/**
 * Loads everything that saveCheckpoint saved.
 *
 * @throws GOOGLENET_ERR_INVALID_FILE for other files, also model files: they hold nothing to resume from
 */
export async function loadCheckpoint(path: string, options: IoOptions = {}): Promise<Checkpoint> {
  const { tensors, metadata } = await readSafetensors(path, options)
  if (metadata.format !== CHECKPOINT_FORMAT) {
    const format = metadata.format ?? 'no format in its metadata'
    throw invalidFile(path, `expected a training checkpoint (${CHECKPOINT_FORMAT}), got ${format}`)
  }
  const { weights, momentum, squares, average } = split(tensors)
  const problem = misfits({ weights, momentum, squares, average })
  if (problem) throw invalidFile(path, problem)
  const { model, ...description } = describeModel(path, metadata)
  const state = decodeJson(path, 'state', trainingStateSchema, metadata)
  if (!model || !state) throw invalidFile(path, `metadata lacks '${model ? 'state' : 'model'}'`)
  const kept = { momentum, ...(squares.size > 0 && { squares }), ...(average.size > 0 && { average }) }
  return { weights, model, ...description, ...kept, state }
}

/**
 * Loads the weights of a model file, a checkpoint, any safetensors file or a .caffemodel. The extension decides;
 * an unknown one leaves it to the content.
 *
 * @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ, GOOGLENET_ERR_INVALID_FILE; AbortError
 */
export async function loadModelFile(path: string, options: IoOptions = {}): Promise<LoadedModel> {
  if ((await detectFormat(path, options)) === 'caffemodel') {
    const { tensors, inputSize } = await readCaffemodel(path, options)
    return { weights: tensors, ...(inputSize && { inputSize }) }
  }
  const { tensors, metadata } = await readSafetensors(path, options)
  const { format } = metadata
  if (format?.startsWith('googlenet-') && format !== MODEL_FORMAT && format !== CHECKPOINT_FORMAT) {
    throw invalidFile(
      path,
      `format ${format} is unknown to this version, which reads ${MODEL_FORMAT}: update googlenet`,
    )
  }
  // Other programs use the same metadata keys for their own things.
  const description = format?.startsWith('googlenet-') ? describeModel(path, metadata) : {}
  if (format === CHECKPOINT_FORMAT) return { weights: split(tensors).weights, ...description }
  const origin = format ? decodeJson(path, 'calibration', calibrationSchema, metadata) : undefined
  return { ...splitCalibration(path, tensors, origin), ...description }
}

async function detectFormat(path: string, options: IoOptions): Promise<'safetensors' | 'caffemodel'> {
  throwIfAborted(options.signal)
  const extension = extname(path).toLowerCase()
  return withFile(path, async (file, size) => {
    if (extension === '.safetensors') return 'safetensors'
    if (extension === '.caffemodel') return 'caffemodel'
    const start = Buffer.alloc(Math.min(size, 9))
    await readFully(path, file, start, 0, options)
    if (start[8] === 0x7b && start.readBigUInt64LE() <= BigInt(size)) return 'safetensors'
    if (start.toString('latin1', 0, 2) === 'PK' || start[0] === 0x80) {
      throw invalidFile(path, 'looks like a PyTorch or zip file; expected .safetensors or .caffemodel')
    }
    return 'caffemodel'
  })
}

/** Tensors that shadow the weights, under `<shadow>/<name of the weight>`. */
const SHADOWS = ['momentum', 'squares', 'average'] as const
type Parts = Record<'weights' | (typeof SHADOWS)[number], TensorMap>

function split(tensors: TensorMap): Parts {
  const parts: Parts = { weights: new Map(), momentum: new Map(), squares: new Map(), average: new Map() }
  for (const [name, tensor] of tensors) {
    const shadow = SHADOWS.find((prefix) => name.startsWith(`${prefix}/`))
    if (shadow) parts[shadow].set(name.slice(shadow.length + 1), tensor)
    else parts.weights.set(name, tensor)
  }
  return parts
}

function misfits(parts: { weights: TensorMap } & Partial<Parts>): string | undefined {
  for (const shadow of SHADOWS) {
    const problem = misfit(parts.weights, shadow, parts[shadow])
    if (problem) return problem
  }
  return undefined
}

/** What is wrong with tensors that shadow the weights, if anything. Frozen weights may have no momentum. */
function misfit(weights: TensorMap, prefix: string, shadows: ReadonlyMap<string, Tensor> = new Map()) {
  for (const [name, { shape }] of shadows) {
    const weight = weights.get(name)
    if (!weight) return `${prefix}/${name} belongs to no weight`
    if (`${weight.shape}` !== `${shape}`) return `${prefix}/${name}: expected shape [${weight.shape}], got [${shape}]`
  }
  return undefined
}

function modelMetadata(
  format: string,
  { model, labels, preprocessing }: Omit<SavedModel, 'calibration'>,
): Record<string, string> {
  return {
    format,
    model: encodeJson('model', modelOptionsSchema, model),
    ...(labels && { labels: encodeJson('labels', labelsSchema, labels) }),
    ...(preprocessing && { preprocessing: encodeJson('preprocessing', preprocessingSchema, preprocessing) }),
  }
}

function describeModel(path: string, metadata: Record<string, string>): Omit<LoadedModel, 'weights'> {
  const model = decodeJson(path, 'model', modelOptionsSchema, metadata)
  const labels = decodeJson(path, 'labels', labelsSchema, metadata)
  const preprocessing = decodeJson(path, 'preprocessing', preprocessingSchema, metadata)
  return { ...(model && { model }), ...(labels && { labels }), ...(preprocessing && { preprocessing }) }
}

/** Checked before it is written: a checkpoint that cannot be read back is found out while the run still lives. */
function encodeJson<T>(key: string, schema: z.ZodType<T>, value: T): string {
  const refuse = (problem: string, cause?: unknown) =>
    new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `cannot save '${key}': ${problem}`, { cause })
  const text = JSON.stringify(value, (name, item) => {
    // JSON would turn these into null without a word.
    if (typeof item === 'number' && !Number.isFinite(item)) throw refuse(`'${name}' is ${item}`)
    return item
  })
  const result = schema.safeParse(JSON.parse(text))
  if (!result.success) throw refuse(z.prettifyError(result.error), result.error)
  return text
}

function decodeJson<T>(path: string, key: string, schema: z.ZodType<T>, metadata: Record<string, string>) {
  const text = metadata[key]
  if (text === undefined) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw invalidFile(path, `metadata '${key}' is not JSON`, error)
  }
  const result = schema.safeParse(json)
  if (!result.success) throw invalidFile(path, `metadata '${key}': ${z.prettifyError(result.error)}`, result.error)
  return result.data as T
}
