/**
 * SVG texts to one uint8 array (N,S,S,3), RGB, drawn by sharp at the size that is needed. librsvg works on libuv's
 * threads, a few drawings at a time, so the event loop stays free and memory bounded.
 *
 * Every set leaves another margin around its drawings (OpenMoji the most, Twemoji none). A first, small drawing finds
 * the box that is not transparent, a second one draws just that box, so that the margin says nothing about the style.
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

/** One drawing: what is inside <svg>, and the box it is meant for, in its own units. */
export interface Drawing {
  body: string
  left: number
  top: number
  width: number
  height: number
}

// libuv has four threads unless told otherwise; twice as many keeps them fed.
const inFlight = 8
// Side of the drawing that finds the box: one pixel is 3 % of the icon, which is also the margin that stays.
const probe = 32
// Alpha from which a pixel counts; soft shadows do not.
const opaque = 24

/** Draws in order; stops with an AbortError once what is in flight has ended. */
export async function drawAll(drawings: readonly Drawing[], options: DrawOptions): Promise<Uint8Array> {
  const { size, background, signal } = options
  const [r, g, b] = background
  const bytes = size * size * 3
  const images = new Uint8Array(drawings.length * bytes)
  let next = 0
  let done = 0
  let failed = false
  const worker = async () => {
    while (next < drawings.length && !failed) {
      throwIfAborted(signal)
      const index = next++
      const box = await tight(drawings[index]!)
      const pixels = await sharp(svg(box, size)).flatten({ background: { r, g, b } }).removeAlpha().raw().toBuffer()
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

/** The same drawing with the smallest square box around what is visible. */
async function tight(drawing: Drawing): Promise<Drawing> {
  const side = Math.max(drawing.width, drawing.height)
  const square = {
    body: drawing.body,
    left: drawing.left + (drawing.width - side) / 2,
    top: drawing.top + (drawing.height - side) / 2,
    width: side,
    height: side,
  }
  const pixels = await sharp(svg(square, probe)).ensureAlpha().raw().toBuffer()
  let [x0, x1, y0, y1] = [probe, -1, probe, -1]
  for (let at = 0; at < probe * probe; at++) {
    if (pixels[4 * at + 3]! < opaque) continue
    const x = at % probe
    const y = (at - x) / probe
    x0 = Math.min(x0, x)
    x1 = Math.max(x1, x)
    y0 = Math.min(y0, y)
    y1 = Math.max(y1, y)
  }
  if (x1 < 0) return square
  const unit = side / probe
  const inner = Math.max(x1 - x0 + 1, y1 - y0 + 1) * unit
  return {
    body: drawing.body,
    left: square.left + ((x0 + x1 + 1) * unit - inner) / 2,
    top: square.top + ((y0 + y1 + 1) * unit - inner) / 2,
    width: inner,
    height: inner,
  }
}

function svg({ body, left, top, width, height }: Drawing, size: number): Buffer {
  return Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ' +
      `width="${size}" height="${size}" viewBox="${left} ${top} ${width} ${height}">${body}</svg>`,
  )
}
