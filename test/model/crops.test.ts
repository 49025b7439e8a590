/** Views for 10- and 144-crop evaluation (paper, section 7), on an image whose pixels say where they come from. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GoogLeNet, GoogLeNetError, ImageFolder } from '../../lib/index.js'
import { cropsOf } from '../../lib/model/crops.js'
import { drawPictures, temporaryFolder } from '../train/pictures.js'

const SIZE = 56
const SIDE = 64 // 256/224 of it: the image is not resized
const MEAN = [104, 117, 123]

/** Red = x, green = y, blue = 0. */
function image(width: number, height: number) {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set([Math.min(255, x), Math.min(255, y), 0], (y * width + x) * 3)
  }
  return { data, width, height }
}

/** [x, y] of the source pixel at a place of a view. */
function at(views: Float32Array, view: number, y: number, x: number): [number, number] {
  const plane = SIZE * SIZE
  const pixel = view * 3 * plane + y * SIZE + x
  return [Math.round(views[pixel + 2 * plane]! + MEAN[2]!), Math.round(views[pixel + plane]! + MEAN[1]!)]
}

describe('10 crops', async () => {
  const views = await cropsOf(image(SIDE, SIDE), 10, SIZE)
  it('are the corners and the centre, each followed by its mirror image', () => {
    const far = SIDE - SIZE
    const origins = Array.from({ length: 5 }, (_, i) => at(views, 2 * i, 0, 0))
    expect(origins).toEqual([
      [0, 0],
      [far, 0],
      [0, far],
      [far, far],
      [far / 2, far / 2],
    ])
    for (let i = 0; i < 5; i++) {
      const [x, y] = origins[i]!
      expect(at(views, 2 * i + 1, 0, 0)).toEqual([x + SIZE - 1, y])
      expect(at(views, 2 * i + 1, SIZE - 1, SIZE - 1)).toEqual([x, y + SIZE - 1])
    }
  })
})

describe.each([1, 10, 144] as const)('evaluation with %i crops', (crops) => {
  it('counts files that cannot be read or decoded, and refuses a set of them', async () => {
    const folder = await temporaryFolder()
    await using model = await GoogLeNet.create({ classes: 2, inputSize: 48, width: 0.125, threads: 2 })
    await drawPictures(folder.path, 2, 3)
    await writeFile(join(folder.path, 'a', '0.jpg'), Buffer.of(0xff, 0xd8))
    await writeFile(join(folder.path, 'a', '1.jpg'), 'text')
    const data = await ImageFolder.open(folder.path)
    await rm(join(folder.path, 'b', '0.jpg'))
    expect(await model.evaluate(data, { crops })).toMatchObject({ images: 3, skipped: 3 })
    await expect(model.evaluate(data, { crops, strict: true })).rejects.toBeInstanceOf(GoogLeNetError)
    for (const file of ['a/2.jpg', 'b/1.jpg', 'b/2.jpg']) await rm(join(folder.path, file))
    await expect(model.evaluate(data, { crops })).rejects.toMatchObject({ code: 'GOOGLENET_ERR_DATASET_EMPTY' })
    await folder.remove()
  })
})

describe('144 crops', () => {
  it('cover the longer side by three squares at four scales with six views and their mirror images', async () => {
    const views = await cropsOf(image(200, SIDE), 144, SIZE)
    expect(views.length).toBe(144 * 3 * SIZE * SIZE)
    const firstOfSquare = [0, 1, 2].map((square) => at(views, square * 48, 0, 0)[0])
    expect(firstOfSquare).toEqual([0, (200 - SIDE) / 2, 200 - SIDE])
    // The last view of a scale is the whole square: its right edge is the square's.
    expect(at(views, 10, 0, SIZE - 1)[0]).toBeGreaterThanOrEqual(SIDE - 3)
  })
})
