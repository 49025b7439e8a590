/**
 * One run of samples through the decoder: JPEG on the native threads, every other format through sharp (alpha laid on
 * white, EXIF orientation ignored as for JPEG), put back in order. Loader cuts batches from these runs.
 */
import { readFile } from 'node:fs/promises'
import type { DecodedImage, ImageBatch, ImageSample, NativePipeline } from '../native.js'
import type { Renderer } from './rendering.js'

/** Path, position in the dataset, code and message of an image that was left out. */
export type SkippedImage = ImageBatch['skipped'][number]

export interface Chunk<Images> {
  images: Images
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

/** What sharp made of the samples that are no JPEG, by their place in the run. */
async function decodeOthers<Images>(
  failed: { place: number; image: SkippedImage }[],
  renderer: Renderer<Images>,
  epoch: number,
): Promise<{ decoded: Map<number, Images>; skipped: Chunk<Images>['skipped'] }> {
  const decoded = new Map<number, Images>()
  const results = await Promise.all(
    failed.map(async ({ place, image }) => {
      if (image.code !== 'GOOGLENET_ERR_UNSUPPORTED') return { place, image }
      try {
        decoded.set(place, await renderer.fromImage(await decodeWithSharp(image.path), epoch, image.index))
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
function merge<Images>(
  samples: readonly ImageSample[],
  { images, places }: Chunk<Images>,
  others: Map<number, Images>,
  renderer: Renderer<Images>,
) {
  const all = [...places, ...others.keys()].sort((a, b) => a - b)
  let native = 0
  const parts = all.map((place) => {
    const other = others.get(place)
    return other === undefined ? { images, from: native++, count: 1 } : { images: other, from: 0, count: 1 }
  })
  const labels = Int32Array.from(all, (place) => samples[place]?.label ?? 0)
  const indices = Int32Array.from(all, (place) => samples[place]?.index ?? 0)
  return { images: renderer.join(parts), count: all.length, labels, indices, places: all }
}

/** Queues the samples at once; the promise is for what became of them. */
export async function decodeChunk<Images>(
  pipeline: NativePipeline,
  samples: readonly ImageSample[],
  renderer: Renderer<Images>,
  epoch: number,
): Promise<Chunk<Images>> {
  pipeline.push(samples, epoch)
  const batch = await pipeline.next()
  const places: number[] = []
  const failed: Chunk<Images>['skipped'] = []
  for (const [place, { index }] of samples.entries()) {
    if (batch.indices[places.length] === index) places.push(place)
    else failed.push({ place, image: batch.skipped[failed.length]! })
  }
  const chunk = { ...batch, images: renderer.fromBatch(batch), places }
  if (failed.length === 0) return { ...chunk, skipped: [] }
  const { decoded, skipped } = await decodeOthers(failed, renderer, epoch)
  if (decoded.size === 0) return { ...chunk, skipped }
  return { ...merge(samples, { ...chunk, skipped }, decoded, renderer), skipped }
}
