/** Augmentation: identity when every knob is 0, exact mirror, and draws that depend on seed, epoch and index alone. */
import { describe, expect, it } from 'vitest'
import { type AugmentOptions, augmentBatch } from '../../lib/demo/augment.js'

const none: AugmentOptions = {
  mirror: 0,
  scale: 0,
  aspect: 0,
  shift: 0,
  brightness: 0,
  saturation: 0,
  background: [255, 255, 255],
}
const some: AugmentOptions = {
  mirror: 0.5,
  scale: 0.2,
  aspect: 0.1,
  shift: 0.1,
  brightness: 0.2,
  saturation: 0.5,
  background: [123, 117, 104],
}
const size = 12
const bytes = size * size * 3
const images = Uint8Array.from({ length: 5 * bytes }, (_, i) => (i * 7919) % 251)
const key = { seed: 3, epoch: 1 }

describe('augmentBatch', () => {
  it('copies when nothing is asked for', () => {
    const batch = augmentBatch(images, size, [4, 0], key, none)
    expect(batch).toEqual(Uint8Array.of(...images.subarray(4 * bytes), ...images.subarray(0, bytes)))
  })

  it('mirrors exactly', () => {
    const batch = augmentBatch(images, size, [0], key, { ...none, mirror: 1 })
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const at = (y * size + x) * 3
        const from = (y * size + size - 1 - x) * 3
        expect([...batch.subarray(at, at + 3)]).toEqual([...images.subarray(from, from + 3)])
      }
    }
  })

  it('draws by seed, epoch and index, not by place in the batch', () => {
    const batch = augmentBatch(images, size, [1, 2, 3], key, some)
    const alone = augmentBatch(images, size, [3], key, some)
    expect(batch.subarray(2 * bytes)).toEqual(alone)
    expect(augmentBatch(images, size, [3], { ...key, epoch: 2 }, some)).not.toEqual(alone)
    expect(augmentBatch(images, size, [3], { ...key, seed: 4 }, some)).not.toEqual(alone)
  })

  it('leaves a plain background as it is', () => {
    const plain = new Uint8Array(bytes)
    for (let i = 0; i < bytes; i++) plain[i] = some.background[i % 3]!
    expect(augmentBatch(plain, size, [0], key, some)).toEqual(plain)
  })

  it('writes into the array given', () => {
    const dst = new Uint8Array(bytes)
    expect(augmentBatch(images, size, [2], key, some, dst)).toBe(dst)
  })
})
