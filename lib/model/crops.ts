/**
 * Views of one image for evaluation, as (N,3,size,size) BGR minus mean. 10 crops: corners and centre of the image
 * warped to 256/224 of the input, mirrored too (Caffe, AlexNet). 144: the paper, section 7: shorter side 256, 288,
 * 320 and 352; left, middle and right (or top, middle, bottom) squares; of each the 5 crops and the whole square
 * resized; mirrored.
 */
import { policies } from '../data/augment.js'
import { augment } from '../data/rendering.js'
import type { DecodedImage } from '../native.js'

export type Crops = 1 | 10 | 144

const PAPER_SCALES = [256, 288, 320, 352]

export async function cropsOf(image: DecodedImage, crops: 10 | 144, size: number): Promise<Float32Array> {
  const plane = size * size
  const views = new Float32Array(crops * 3 * plane)
  let filled = 0
  const add = (source: Float32Array, side: number, top: number, left: number) => {
    for (const mirrored of [false, true]) {
      cut(source, side, top, left, size, mirrored, views.subarray(filled, filled + 3 * plane))
      filled += 3 * plane
    }
  }
  const addFive = (source: Float32Array, side: number) => {
    const far = side - size
    for (const [top, left] of [
      [0, 0],
      [0, far],
      [far, 0],
      [far, far],
    ] as const)
      add(source, side, top, left)
    add(source, side, Math.floor(far / 2), Math.floor(far / 2))
  }

  if (crops === 10) {
    const side = Math.round((size * 256) / 224)
    addFive(await warp(image, side), side)
    return views
  }
  for (const square of squares(image)) {
    for (const scale of PAPER_SCALES) {
      const side = Math.round((size * scale) / 224)
      addFive(await warp(square, side), side)
      add(await warp(square, size), size, 0, 0)
    }
  }
  return views
}

/** (3,side,side) */
const warp = (image: DecodedImage, side: number) => augment(image, policies.none({ size: side }))

/** First, middle and last square along the longer side; the same one three times where the image is square. */
function* squares({ data, width, height }: DecodedImage): Generator<DecodedImage> {
  const side = Math.min(width, height)
  for (const part of [0, 0.5, 1]) {
    const left = Math.floor((width - side) * part)
    const top = Math.floor((height - side) * part)
    const square = new Uint8Array(side * side * 3)
    for (let y = 0; y < side; y++) {
      const start = ((top + y) * width + left) * 3
      square.set(data.subarray(start, start + side * 3), y * side * 3)
    }
    yield { data: square, width: side, height: side }
  }
}

function cut(
  source: Float32Array,
  side: number,
  top: number,
  left: number,
  size: number,
  mirrored: boolean,
  target: Float32Array,
): void {
  for (let row = 0; row < 3 * size; row++) {
    const channel = Math.floor(row / size)
    const start = (channel * side + top + (row % size)) * side + left
    const line = target.subarray(row * size, (row + 1) * size)
    line.set(source.subarray(start, start + size))
    if (mirrored) line.reverse()
  }
}
