/**
 * Random changes of small uint8 images for training: mirror, scale, aspect, shift, brightness, contrast, saturation.
 * Few knobs, each 0 for "not at all". An image's draw depends on (seed, epoch, its index) alone, so a batch is the same
 * whoever makes it and in whatever order.
 */
import { philox } from '../data/order.js'
import type { Rgb } from './draw.js'

export interface AugmentOptions {
  /** Probability of a left-right mirror, 0..1. */
  mirror: number
  /** Zoom by a factor from e^-scale to e^scale. */
  scale: number
  /** Height over width by a factor from e^-aspect to e^aspect. */
  aspect: number
  /** Moved by up to this share of the side, in x and in y. */
  shift: number
  /** Distance from the background colour times e^-brightness to e^brightness: the background itself stays. */
  brightness: number
  /** Distance from the pixel's own grey times 1-saturation to 1+saturation. */
  saturation: number
  /** What appears where the image was moved away. */
  background: Rgb
}

/** Where in which pass: decides every random draw. */
export interface AugmentKey {
  seed: number
  epoch: number
}

// The last counter word, beside those of data/order.ts and native/image/draws.h.
const DEMO_STREAM = 0x1200

/** Uniform numbers in [0, 1) for one image of one epoch. */
function sampleRandom({ seed, epoch }: AugmentKey, index: number): () => number {
  let words: readonly number[] = []
  let draw = 0
  return () => {
    if (draw % 4 === 0) words = philox(seed, [epoch, index, draw / 4, DEMO_STREAM])
    return words[draw++ % 4]! / 2 ** 32
  }
}

/**
 * Makes a batch: images `indices` of `images` (N,S,S,3), each changed its own way, into `dst` (B,S,S,3), which is
 * returned; a new array when not given. Bilinear; about 0.1 ms an image of 64 pixels.
 */
export function augmentBatch(
  images: Uint8Array,
  size: number,
  indices: ArrayLike<number>,
  key: AugmentKey,
  options: AugmentOptions,
  dst = new Uint8Array(indices.length * size * size * 3),
): Uint8Array {
  const bytes = size * size * 3
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!
    const random = sampleRandom(key, index)
    const image = images.subarray(index * bytes, (index + 1) * bytes)
    augmentImage(image, size, random, options, dst.subarray(i * bytes, (i + 1) * bytes))
  }
  return dst
}

function augmentImage(src: Uint8Array, size: number, random: () => number, o: AugmentOptions, dst: Uint8Array): void {
  const spread = (range: number) => (2 * random() - 1) * range
  // Every draw is made whatever the options are, so that one knob does not change what the others do.
  const mirrored = random() < o.mirror
  const zoom = Math.exp(spread(o.scale))
  const aspect = Math.exp(spread(o.aspect) / 2)
  const shiftX = spread(o.shift) * size
  const shiftY = spread(o.shift) * size
  const gain = Math.exp(spread(o.brightness))
  const colour = 1 + spread(o.saturation)
  const x = taps(size, (mirrored ? -1 : 1) / (zoom / aspect), shiftX)
  const y = taps(size, 1 / (zoom * aspect), shiftY)
  const [r0, g0, b0] = o.background
  let at = 0
  for (let row = 0; row < size; row++) {
    const top = y.low[row]! * size
    const fy = y.part[row]!
    for (let column = 0; column < size; column++) {
      const left = x.low[column]!
      let r = r0
      let g = g0
      let b = b0
      if (top >= 0 && left >= 0) {
        const fx = x.part[column]!
        const a = (top + left) * 3
        const c = a + size * 3
        const wa = (1 - fx) * (1 - fy)
        const wb = fx * (1 - fy)
        const wc = (1 - fx) * fy
        const wd = fx * fy
        r = src[a]! * wa + src[a + 3]! * wb + src[c]! * wc + src[c + 3]! * wd
        g = src[a + 1]! * wa + src[a + 4]! * wb + src[c + 1]! * wc + src[c + 4]! * wd
        b = src[a + 2]! * wa + src[a + 5]! * wb + src[c + 2]! * wc + src[c + 5]! * wd
        const dr = r - r0
        const dg = g - g0
        const db = b - b0
        const grey = luma(dr, dg, db)
        r = r0 + gain * (grey + (dr - grey) * colour)
        g = g0 + gain * (grey + (dg - grey) * colour)
        b = b0 + gain * (grey + (db - grey) * colour)
      }
      dst[at] = clamp(r)
      dst[at + 1] = clamp(g)
      dst[at + 2] = clamp(b)
      at += 3
    }
  }
}

/** Source position of each of `size` destination pixels: first tap (or -1 outside) and the share of the second. */
function taps(size: number, step: number, shift: number): { low: Int32Array; part: Float32Array } {
  const low = new Int32Array(size)
  const part = new Float32Array(size)
  const centre = (size - 1) / 2
  for (let i = 0; i < size; i++) {
    const at = centre + (i - centre - shift) * step
    const floor = Math.min(Math.floor(at), size - 2)
    const inside = at >= 0 && at <= size - 1
    low[i] = inside ? floor : -1
    part[i] = inside ? at - floor : 0
  }
  return { low, part }
}

function luma(r: number, g: number, b: number): number {
  return 0.299 * r + 0.587 * g + 0.114 * b
}

function clamp(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5
}
