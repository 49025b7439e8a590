/**
 * From what users pass to what the network reads: images of any kind are decoded, warped and cropped like Caffe's
 * evaluation data (warp to 256/224 of the input, centre crop, BGR minus mean), batches are checked.
 */
import { readFile } from 'node:fs/promises'
import { policies } from '../data/augment.js'
import { decodeWithSharp } from '../data/chunk.js'
import { augment, Photos } from '../data/rendering.js'
import { fromNative, GoogLeNetError } from '../errors.js'
import { type ComputeDevice, type DecodedImage, type NativeInput, native } from '../native.js'
import { invalid } from '../options.js'

/** RGB bytes, (H,W,3); read where they are, as those of an ImageTensor. */
export interface RgbImage {
  data: Uint8Array
  width: number
  height: number
}
/** A path, an encoded file (JPEG natively, other formats by sharp) or pixels. */
export type ImageInput = string | Uint8Array | RgbImage

/**
 * A batch of inputs: bytes are (N,H,W,3) RGB, floats are (N,3,H,W) and taken as they are (BGR minus mean; NaN and
 * infinities give results that mean nothing, where a step rejects). Without a shape the length must divide by that of
 * one image. The data is not copied: until the call's promise has settled it must not be changed, transferred or
 * released (`release()` of a Loader's batch).
 */
export type ImageTensor = Float32Array | { data: Uint8Array | Float32Array; shape?: readonly number[] }
/** Photos come from a Loader, for models on a GPU. */
export type BatchImages = ImageTensor | Uint8Array | Photos

export interface Batch {
  images: BatchImages
  /** One class index per image. */
  labels: ArrayLike<number>
}

/** Its parts are for toInput and toLabels to check. @throws GOOGLENET_ERR_INVALID_ARGUMENT */
export function checkBatch(name: string, batch: Batch): Batch {
  if (typeof batch === 'object' && batch !== null) return batch
  throw invalid(name, '{ images, labels }', batch)
}

/** @throws GOOGLENET_ERR_INVALID_SHAPE, GOOGLENET_ERR_INVALID_ARGUMENT */
export function toInput(images: BatchImages, size: number): NativeInput {
  if (images instanceof Photos) {
    if (images.size === size) return images.toInput()
    const message = `images: expected photos for images of ${size} pixels, got them for ${images.size}`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_SHAPE', message)
  }
  const bare = ArrayBuffer.isView(images) || Object(images) !== images
  const { data, shape: given } = bare ? { data: images, shape: undefined } : images
  const bytes = data instanceof Uint8Array
  if (!bytes && !(data instanceof Float32Array)) throw invalid('images', 'a Uint8Array or a Float32Array', data)
  checkMemory('images', data)
  const form = bytes ? `uint8 (N, ${size}, ${size}, 3)` : `float32 (N, 3, ${size}, ${size})`
  const one = bytes ? [size, size, 3] : [3, size, size]
  const count = given?.[0] ?? data.length / (3 * size * size)
  const shape = [count, ...one]
  if (given && !Array.isArray(given) && !ArrayBuffer.isView(given)) {
    throw invalid('images.shape', 'a list of numbers', given)
  }
  const fits = Number.isInteger(count) && count > 0 && data.length === count * 3 * size * size
  if (!fits || (given && String(given) !== String(shape))) {
    const got = given ? `shape (${given.join(', ')}) with ${data.length} values` : `${data.length} values`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_SHAPE', `images: expected ${form}, got ${got}`)
  }
  return { data, shape }
}

/** Memory that native threads read must not shrink meanwhile; Node-API has no access to shared memory. */
function checkMemory(name: string, { buffer }: Uint8Array | Float32Array): void {
  if (buffer instanceof SharedArrayBuffer) throw invalid(name, 'an array over an ArrayBuffer', 'a SharedArrayBuffer')
  if ((buffer as { resizable?: boolean }).resizable)
    throw invalid(name, 'an array over an ArrayBuffer of fixed length', 'a resizable one')
}

/** @throws GOOGLENET_ERR_INVALID_SHAPE, GOOGLENET_ERR_LABEL_OUT_OF_RANGE */
export function toLabels(labels: ArrayLike<number>, count: number, classes: number): Int32Array {
  if (labels?.length !== count) {
    const got = labels?.length ?? 'none'
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_SHAPE', `labels: expected ${count}, one per image, got ${got}`)
  }
  return Int32Array.from(labels, (label, index) => {
    if (Number.isInteger(label) && label >= 0 && label < classes) return label
    throw invalid(`labels[${index}]`, `a class from 0 to ${classes - 1}`, label, 'GOOGLENET_ERR_LABEL_OUT_OF_RANGE')
  })
}

/** `count` of the images, from `start` on. */
export function partOf(input: NativeInput, start: number, count: number): NativeInput {
  if (count === input.shape[0]) return input
  const { data, photos } = input
  const [total, ...one] = input.shape
  const values = data.length / total!
  const part = photos
    ? native().joinPhotos([{ photos: data as Uint8Array, from: start, count }])
    : data.subarray(start * values, (start + count) * values)
  return { data: part, shape: [count, ...one], ...(photos && { photos }) }
}

export function isTensor(value: unknown): value is ImageTensor | Photos {
  if (value instanceof Photos) return true
  if (value instanceof Float32Array) return true
  return typeof value === 'object' && value !== null && ('shape' in value || ('data' in value && !('width' in value)))
}

/**
 * Decodes to RGB; the orientation tag is ignored, as Caffe does.
 *
 * @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ, GOOGLENET_ERR_IMAGE_DECODE
 */
export async function decodeImage(image: ImageInput): Promise<DecodedImage> {
  if (typeof image === 'string') return decodeBytes(await readImage(image), image)
  if (image instanceof Uint8Array) return decodeBytes(image, 'image')
  const { data, width, height } = image ?? {}
  if (!(data instanceof Uint8Array) || !Number.isInteger(width) || !Number.isInteger(height)) {
    throw invalid('image', 'a path, an encoded Uint8Array or { data: Uint8Array, width, height }', image)
  }
  if (width < 1 || height < 1 || data.length !== width * height * 3) {
    const message = `image: expected ${width} x ${height} x 3 = ${width * height * 3} bytes of RGB, got ${data.length}`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_SHAPE', message)
  }
  checkMemory('image', data)
  return { data, width, height }
}

async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const code = missing ? 'GOOGLENET_ERR_FILE_NOT_FOUND' : 'GOOGLENET_ERR_FILE_READ'
    throw new GoogLeNetError(code, `image ${path}: ${missing ? 'no such file' : (cause as Error).message}`, { cause })
  }
}

async function decodeBytes(encoded: Uint8Array, name: string): Promise<DecodedImage> {
  try {
    if (encoded[0] === 0xff && encoded[1] === 0xd8) return await native().decodeJpeg(encoded)
    return await decodeWithSharp(encoded)
  } catch (error) {
    const cause = fromNative(error) as Error
    if (cause instanceof GoogLeNetError && cause.code === 'GOOGLENET_ERR_OUT_OF_MEMORY') throw cause
    throw new GoogLeNetError('GOOGLENET_ERR_IMAGE_DECODE', `${name}: ${cause.message}`, { cause })
  }
}

/** Decodes and crops for inference: (N,3,size,size), BGR minus mean. */
export async function prepare(
  images: readonly ImageInput[],
  size: number,
  resize: 'warp' | 'short' | 'none',
): Promise<Float32Array> {
  const policy = policies.evaluate({ size, mode: resize })
  const values = new Float32Array(images.length * 3 * size * size)
  await Promise.all(
    images.map(async (image, index) => {
      values.set(await augment(await decodeImage(image), policy), index * 3 * size * size)
    }),
  )
  return values
}

/**
 * Images that are classified at once: few sizes, since each has a plan, and the largest bounds memory. A GPU needs many
 * at a time to be busy, and hundreds of megabytes for them.
 */
const PIECES = { cpu: [8, 4, 2, 1], gpu: [128, 32, 8, 4, 2, 1] }
const piecesOf = (device: ComputeDevice) => PIECES[device === 'cpu' ? 'cpu' : 'gpu']
export const largestPiece = (device: ComputeDevice) => piecesOf(device)[0]!

/** Where pieces are computed: a model. */
interface Where {
  device: ComputeDevice
  streams: number
}

/** How many pieces a model computes side by side. */
export const piecesAtOnce = ({ device, streams }: Where) => (device === 'cpu' ? streams : 1)

/** Images that keep a model busy. */
export const enoughFor = (where: Where) => largestPiece(where.device) * piecesAtOnce(where)

/** Cuts a count into pieces, the largest first, and of those enough for all that the model computes side by side. */
export function* pieces(count: number, where: Where): Generator<{ start: number; count: number }> {
  const most = Math.ceil(count / piecesAtOnce(where))
  for (let start = 0; start < count; ) {
    const size = piecesOf(where.device).find((size) => size <= Math.min(most, count - start))!
    yield { start, count: size }
    start += size
  }
}
