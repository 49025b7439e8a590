/** JPEG files as the networks' input, by the plainest means: whole pixels, no resampling. */
import { readFile } from 'node:fs/promises'
import { type DecodedImage, native } from '../../lib/native.js'

export async function decode(path: string): Promise<DecodedImage> {
  return native().decodeJpeg(await readFile(path))
}

/** (size,size,3) RGB from the middle. */
export function centerCrop({ width, height, data }: DecodedImage, size: number): Uint8Array {
  const top = Math.floor((height - size) / 2)
  const left = Math.floor((width - size) / 2)
  const result = new Uint8Array(size * size * 3)
  for (let y = 0; y < size; y++) {
    const start = ((top + y) * width + left) * 3
    result.set(data.subarray(start, start + size * 3), y * size * 3)
  }
  return result
}

/** (3,H,W) in the order B, G, R, 0..255, as Caffe's networks were trained. */
export function planesBgr({ width, height, data }: DecodedImage): Float32Array {
  const area = width * height
  return Float32Array.from({ length: 3 * area }, (_, i) => data[(i % area) * 3 + 2 - Math.floor(i / area)]!)
}
