/**
 * One run of samples through the decoder: JPEG on the native threads, every other format through sharp (alpha laid on
 * white, EXIF orientation ignored as for JPEG), put back in order. Loader cuts batches from these runs.
 */
import { readFile } from 'node:fs/promises'
import {
  type AugmentPolicy,
  type DecodedImage,
  type ImageBatch,
  type ImageSample,
  type NativePipeline,
  native,
} from '../native.js'

/** Path, position in the dataset, code and message of an image that was left out. */
export type SkippedImage = ImageBatch['skipped'][number]

export interface Chunk {
  /** (count, 3, size, size) */
  images: Float32Array
  count: number
  labels: Int32Array
  indices: Int32Array
  /** For each image, which sample of the run it is (0 … samples - 1), ascending. */
  places: number[]
  /** The others, with the same numbering. */
  skipped: { place: number; image: SkippedImage }[]
}

/** Any format that sharp knows, as RGB bytes; pictures with several pages: the first. */
export async function decodeWithSharp(encoded: Uint8Array | string): Promise<DecodedImage> {
  const { default: sharp } = await import('sharp')
  // Read here: sharp opens a name like 'a.png' itself, but would take other names for a pattern of its own.
  const bytes = typeof encoded === 'string' ? await readFile(encoded) : encoded
  const { data, info } = await sharp(bytes)
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new Error(`${info.channels} channels after conversion to RGB`)
  return { width: info.width, height: info.height, data }
}

interface Recipe {
  policy: AugmentPolicy
  seed: number
  epoch: number
}

/** What sharp made of the samples that are no JPEG, by their place in the run. */
async function decodeOthers(
  failed: { place: number; image: SkippedImage }[],
  { policy, seed, epoch }: Recipe,
): Promise<{ decoded: Map<number, Float32Array>; skipped: Chunk['skipped'] }> {
  const decoded = new Map<number, Float32Array>()
  const results = await Promise.all(
    failed.map(async ({ place, image }) => {
      if (image.code !== 'GOOGLENET_ERR_UNSUPPORTED') return { place, image }
      try {
        const pixels = await decodeWithSharp(image.path)
        decoded.set(place, native().augment(pixels, policy, seed, epoch, image.index))
        return undefined
      } catch (cause) {
        const message = `${(cause as Error).message} (${image.message})`
        return { place, image: { ...image, code: 'GOOGLENET_ERR_IMAGE_DECODE' as const, message } }
      }
    }),
  )
  return { decoded, skipped: results.filter((one) => one !== undefined) }
}

/** Native and sharp's images in the order of the samples. */
function merge(
  samples: readonly ImageSample[],
  batch: ImageBatch,
  places: number[],
  others: Map<number, Float32Array>,
) {
  const floats = others.values().next().value?.length ?? 0
  const all = [...places, ...others.keys()].sort((a, b) => a - b)
  const images = new Float32Array(all.length * floats)
  let fromNative = 0
  for (const [slot, place] of all.entries()) {
    const one = others.get(place) ?? batch.images.subarray(fromNative * floats, ++fromNative * floats)
    images.set(one, slot * floats)
  }
  const labels = Int32Array.from(all, (place) => samples[place]?.label ?? 0)
  const indices = Int32Array.from(all, (place) => samples[place]?.index ?? 0)
  return { images, count: all.length, labels, indices, places: all }
}

/** Queues the samples at once; the promise is for what became of them. */
export async function decodeChunk(
  pipeline: NativePipeline,
  samples: readonly ImageSample[],
  recipe: Recipe,
): Promise<Chunk> {
  pipeline.push(samples, recipe.epoch)
  const batch = await pipeline.next()
  const places: number[] = []
  const failed: Chunk['skipped'] = []
  for (const [place, { index }] of samples.entries()) {
    if (batch.indices[places.length] === index) places.push(place)
    else failed.push({ place, image: batch.skipped[failed.length]! })
  }
  if (failed.length === 0) return { ...batch, places, skipped: [] }
  const { decoded, skipped } = await decodeOthers(failed, recipe)
  if (decoded.size === 0) return { ...batch, places, skipped }
  return { ...merge(samples, batch, places, decoded), skipped }
}
