/**
 * SVG texts to one uint8 array (N,S,S,3), RGB, drawn by sharp at the size that is needed. librsvg works on libuv's
 * threads, a few drawings at a time, so the event loop stays free and memory bounded.
 */
import sharp from 'sharp'
import { throwIfAborted } from '../lifetime.js'

/** Red, green, blue, 0..255. */
export type Rgb = readonly [number, number, number]

export interface DrawOptions {
  /** Side S of the square, pixels. A drawing that is not square is centred, its aspect kept. */
  size: number
  /** What shows through where a drawing is transparent. */
  background: Rgb
  signal?: AbortSignal
  /** Called after each drawing with the number done so far. */
  onDrawn?: (done: number) => void
}

// libuv has four threads unless told otherwise; twice as many keeps them fed.
const inFlight = 8

/** Draws in order; stops with an AbortError once what is in flight has ended. */
export async function drawAll(svgs: readonly string[], options: DrawOptions): Promise<Uint8Array> {
  const { size, background, signal } = options
  const [r, g, b] = background
  const bytes = size * size * 3
  const images = new Uint8Array(svgs.length * bytes)
  let next = 0
  let done = 0
  let failed = false
  const worker = async () => {
    while (next < svgs.length && !failed) {
      throwIfAborted(signal)
      const index = next++
      const sized = svgs[index]!.replace('<svg ', `<svg width="${size}" height="${size}" `)
      const pixels = await sharp(Buffer.from(sized))
        .flatten({ background: { r, g, b } })
        .toColourspace('srgb')
        .removeAlpha()
        .raw()
        .toBuffer()
      images.set(pixels, index * bytes)
      options.onDrawn?.(++done)
    }
  }
  const workers = Array.from({ length: inFlight }, async () => {
    try {
      await worker()
    } catch (error) {
      failed = true
      throw error
    }
  })
  const failure = (await Promise.allSettled(workers)).find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
  return images
}
