/**
 * Who makes the network's images of decoded photos: the decoding threads, which then hand on floats, or the device that
 * computes, which then gets the photos. Both use what was drawn for a sample alike.
 */
import { fromNative } from '../errors.js'
import {
  type AugmentPolicy,
  type ComputeDevice,
  type DecodedImage,
  type ImageBatch,
  type NativeInput,
  native,
} from '../native.js'

export type Rendering = 'host' | 'device'

/** Decoded photos, with all that chance decided for them, for a device that makes images of them; a Loader packs them. */
export class Photos {
  constructor(
    /** One block of native/backend/photos.h. */
    readonly data: Uint8Array,
    readonly count: number,
    /** Height and width of the images. */
    readonly size: number,
  ) {}

  toInput(): NativeInput {
    return { data: this.data, shape: [this.count, 3, this.size, this.size], photos: true }
  }
}

/** What the images of a batch are. */
export interface Rendered {
  host: Float32Array
  device: Photos
}

/** `count` images of several, from `from` on. */
export interface Part<Images> {
  images: Images
  from: number
  count: number
}

/** What a loader does with images, whatever they are. */
export interface Renderer<Images> {
  /** What a native pipeline made. */
  fromBatch(batch: ImageBatch): Images
  /** What another decoder made, in the same form. */
  fromImage(image: DecodedImage, epoch: number, index: number): Promise<Images>
  /** One after the other; without copying where that can be. */
  join(parts: Part<Images>[]): Images
  /** Their memory. */
  bytes(images: Images): Float32Array | Uint8Array
}

/** The image as `policy` has it: (3,size,size), BGR minus mean. Without a sample's numbers: as for inference. */
export async function augment(
  image: DecodedImage,
  policy: AugmentPolicy,
  seed = 0,
  epoch = 0,
  index = 0,
): Promise<Float32Array> {
  try {
    return await native().augment(image, policy, seed, epoch, index)
  } catch (error) {
    throw fromNative(error)
  }
}

function joinPhotos(parts: Part<Photos>[]): Photos {
  const [{ images: first, from, count }] = parts as [Part<Photos>]
  if (parts.length === 1 && from === 0 && count === first.count) return first
  const data = native().joinPhotos(parts.map(({ images, from, count }) => ({ photos: images.data, from, count })))
  return new Photos(
    data,
    parts.reduce((sum, { count }) => sum + count, 0),
    first.size,
  )
}

function joinFloats(parts: Part<Float32Array>[], floats: number): Float32Array {
  const slices = parts.map(({ images, from, count }) => images.subarray(from * floats, (from + count) * floats))
  if (slices.length === 1) return slices[0] as Float32Array
  const joined = new Float32Array(slices.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const slice of slices) {
    joined.set(slice, at)
    at += slice.length
  }
  return joined
}

export function makeRenderer<R extends Rendering>(
  rendering: R,
  policy: AugmentPolicy,
  seed: number,
): Renderer<Rendered[R]> {
  const { size } = policy
  const renderers: { [R in Rendering]: Renderer<Rendered[R]> } = {
    host: {
      fromBatch: ({ images }) => images as Float32Array,
      fromImage: (image, epoch, index) => augment(image, policy, seed, epoch, index),
      join: (parts) => joinFloats(parts, 3 * size * size),
      bytes: (images) => images,
    },
    device: {
      fromBatch: ({ images, count }) => new Photos(images as Uint8Array, count, size),
      fromImage: async (image, epoch, index) =>
        new Photos(await native().packPhoto(image, policy, seed, epoch, index), 1, size),
      join: joinPhotos,
      bytes: ({ data }) => data,
    },
  }
  return renderers[rendering]
}

/** A GPU renders, unless a processor is to read the same batches. */
export function renderingFor(devices: readonly ComputeDevice[]): Rendering {
  return devices.includes('cpu') ? 'host' : 'device'
}
