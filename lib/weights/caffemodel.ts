/**
 * Reads and writes Caffe's .caffemodel (a binary NetParameter): both generations of layers in, V2 out.
 * Tensors are named `<layer>.weight` and `<layer>.bias`; nothing is renamed, so the network's own names match.
 * Convolutions are (O,I,H,W), inner products (O,I), biases (O), whichever shape the file spells them in.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { type Blob, type Layer, type Net, packedSchema, unpackedSchema, V1_TYPES } from './caffe-schema.js'
import { type IoOptions, invalidFile, readFully, withFile, writeFileAtomic } from './file.js'
import type { Tensor, TensorMap } from './safetensors.js'
import { elementCount } from './safetensors-header.js'

/** One layer to write. What Caffe also wants to know (num_output, kernel size) follows from the weight's shape. */
export interface CaffeLayer {
  name: string
  type: 'Convolution' | 'InnerProduct'
  /** Names of the blobs read and written; needed only by readers that rebuild the graph from this file. */
  bottom?: readonly string[]
  top?: readonly string[]
  /** Convolution only; default pad 0, stride 1, group 1. */
  pad?: number
  stride?: number
  group?: number
  /** (O,I/group,H,W) for a convolution, (O,I) for an inner product. */
  weight: Tensor
  /** (O) */
  bias?: Tensor
}

/**
 * Reads all layers that own weights, and the input's height where the file tells it. The tensors are copies; the file's
 * bytes are released.
 *
 * @throws GOOGLENET_ERR_INVALID_FILE for anything but a complete binary NetParameter with weights;
 *   GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ; AbortError
 */
export async function readCaffemodel(
  path: string,
  options: IoOptions = {},
): Promise<{ name: string; tensors: TensorMap; inputSize?: number }> {
  throwIfAborted(options.signal)
  const bytes = await withFile(path, async (file, size) => {
    const target = Buffer.allocUnsafeSlow(size)
    await readFully(path, file, target, 0, options)
    return target
  })
  try {
    return await collect(path, decode(path, bytes, packedSchema), true, options)
  } catch (error) {
    if (!(error instanceof UnpackedData)) throw error
    return await collect(path, decode(path, bytes, unpackedSchema()), false, options)
  }
}

/**
 * Writes a NetParameter of V2 layers with the input 'data' of (1,3,inputSize,inputSize), atomically, one layer encoded
 * at a time.
 *
 * @throws GOOGLENET_ERR_INVALID_ARGUMENT when shapes and data disagree; GOOGLENET_ERR_FILE_WRITE; AbortError
 */
export async function writeCaffemodel(
  path: string,
  name: string,
  layers: readonly CaffeLayer[],
  { inputSize, ...options }: IoOptions & { inputSize?: number | undefined } = {},
): Promise<void> {
  for (const layer of layers) checkLayer(layer)
  await writeFileAtomic(path, encode(name, layers, inputSize), options)
}

/** Some blob's packed data does not fill its shape: the writer may have left the floats unpacked. */
class UnpackedData extends Error {}

function decode(path: string, bytes: Buffer, schema: typeof packedSchema): Net {
  try {
    return schema.decode(bytes) as unknown as Net
  } catch (error) {
    const start = bytes.subarray(0, 512).toString('latin1')
    const hint = /^\s*(#|name\s*:|layers?\s*\{|input)/.test(start)
      ? ' (this is a text prototxt, which holds no weights: give the .caffemodel)'
      : start.startsWith('\x89HDF')
        ? ' (this is an HDF5 snapshot: save it from Caffe with snapshot_format BINARYPROTO)'
        : ''
    const problem = `not a binary Caffe NetParameter, or truncated at ${bytes.length} bytes${hint}`
    throw invalidFile(path, problem, error)
  }
}

async function collect(path: string, net: Net, packed: boolean, { signal }: IoOptions) {
  const tensors: TensorMap = new Map()
  for (const layer of [...(net.layer ?? []), ...(net.layers ?? [])]) {
    throwIfAborted(signal)
    if (layer.layer?.length) {
      throw invalidFile(path, "made by Caffe before 2014 (V0 layers): run Caffe's upgrade_net_proto_binary on it first")
    }
    if (!layer.blobs?.length) continue
    const type = typeof layer.type === 'number' ? V1_TYPES[layer.type] : layer.type
    for (const [index, blob] of layer.blobs.entries()) {
      const name = `${layer.name ?? ''}.${['weight', 'bias'][index] ?? `blob${index}`}`
      if (tensors.has(name)) throw invalidFile(path, `two layers named '${layer.name}' own weights`)
      tensors.set(name, readBlob(path, name, blob, type, packed))
    }
    await nextTurn()
  }
  if (tensors.size === 0) throw invalidFile(path, 'no layer with weights in it: expected a .caffemodel')
  const inputSize = (net.input_shape?.[0]?.dim ?? net.input_dim)?.[2]
  return { name: net.name ?? '', tensors, ...(inputSize && { inputSize }) }
}

function readBlob(path: string, name: string, blob: Blob, type: string | undefined, packed: boolean): Tensor {
  const { num = 0, channels = 0, height = 0, width = 0 } = blob
  const shape = blob.shape?.dim?.length ? blob.shape.dim : [num, channels, height, width]
  const data = packed ? packedValues(blob) : Float32Array.from(unpackedValues(blob))
  if (shape.some((dim) => dim < 0) || data?.length !== elementCount(shape)) {
    if (packed) throw new UnpackedData()
    const needs = `shape [${shape.join(', ')}] needs ${elementCount(shape)} values`
    throw invalidFile(path, `'${name}': ${needs}, got ${data?.length}`)
  }
  return { shape: normaliseShape(shape, name.endsWith('.weight') ? type : 'bias'), data }
}

/** undefined when the bytes are no whole number of values. Doubles win where both are given, as in Caffe. */
function packedValues({ data = [], double_data: doubles = [] }: Blob): Float32Array | undefined {
  const width = doubles.length > 0 ? 8 : 4
  const bytes = concatenate((doubles.length > 0 ? doubles : data) as Uint8Array[])
  if (bytes.byteLength % width !== 0) return undefined
  return width === 8 ? new Float32Array(new Float64Array(bytes)) : new Float32Array(bytes)
}

function unpackedValues({ data = [], double_data: doubles = [] }: Blob): number[] {
  return (doubles.length > 0 ? doubles : data) as number[]
}

/** A packed field may come in several chunks. The copy also aligns it: protobuf puts data at any byte. */
function concatenate(chunks: Uint8Array[]): ArrayBuffer {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0))
  let position = 0
  for (const chunk of chunks) {
    bytes.set(chunk, position)
    position += chunk.byteLength
  }
  return bytes.buffer
}

/** Legacy blobs are always 4-D: an inner product's weight is (1,1,O,I) there and a bias (1,1,1,O). */
function normaliseShape(shape: number[], type: string | undefined): number[] {
  if (type === 'bias') return shape.filter((dim) => dim !== 1).length <= 1 ? [elementCount(shape)] : shape
  if (type !== 'InnerProduct' || shape.length !== 4) return shape
  const [n = 0, c = 0, h = 0, w = 0] = shape
  return n === 1 && c === 1 ? [h, w] : [n, c * h * w]
}

function checkLayer({ name, type, weight, bias }: CaffeLayer): void {
  const rank = type === 'Convolution' ? 4 : 2
  let problem: string | undefined
  if (weight.shape.length !== rank) problem = `${type} weight must have ${rank} dimensions, got [${weight.shape}]`
  for (const { shape, data } of bias ? [weight, bias] : [weight]) {
    if (data.length !== elementCount(shape)) problem = `shape [${shape}] does not hold ${data.length} values`
  }
  if (bias && bias.data.length !== weight.shape[0]) {
    problem = `bias must have ${weight.shape[0]} values, got ${bias.data.length}`
  }
  if (problem) throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `layer '${name}': ${problem}`)
}

/** Concatenated protobuf messages merge, so each layer is its own NetParameter and memory stays at one layer. */
function* encode(name: string, layers: readonly CaffeLayer[], size: number | undefined): Generator<Uint8Array> {
  yield encodeNet({ name, ...(size && { input: ['data'], input_shape: [{ dim: [1, 3, size, size] }] }) })
  for (const layer of layers) yield encodeNet({ layer: [toMessage(layer)] })
}

function encodeNet(net: Net): Uint8Array {
  return packedSchema.encode(net).finish()
}

function toMessage({
  name,
  type,
  bottom = [],
  top = [],
  pad = 0,
  stride = 1,
  group = 1,
  weight,
  bias,
}: CaffeLayer): Layer {
  const [num_output = 0, , height = 1, width = 1] = weight.shape
  const bias_term = bias !== undefined
  const kernel = height === width ? { kernel_size: [height] } : { kernel_h: height, kernel_w: width }
  const params: Layer =
    type === 'Convolution'
      ? { convolution_param: { num_output, bias_term, pad: [pad], ...kernel, group, stride: [stride] } }
      : { inner_product_param: { num_output, bias_term } }
  const blobs = (bias ? [weight, bias] : [weight]).map(({ shape, data }) => {
    return { shape: { dim: [...shape] }, data: [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] }
  })
  return { name, type, bottom: [...bottom], top: [...top], blobs, ...params }
}
