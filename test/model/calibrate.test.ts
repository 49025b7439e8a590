/** Calibration as users meet it: what it measures, when it is dropped, how files keep it, and what int8 refuses. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GoogLeNet, ImageFolder, sgd } from '../../lib/index.js'
import { drawPictures, temporaryFolder } from '../train/pictures.js'

const SIZE = 48
const SMALL = { classes: 3, inputSize: SIZE, width: 0.125, threads: 2, seed: 5, device: 'cpu' as const }
const PLANES = 3 * SIZE * SIZE
const images = (count: number) => Float32Array.from({ length: count * PLANES }, (_, i) => Math.sin(i * 0.7) * 100)
const batch = () => ({ images: images(3), labels: [0, 1, 2] })
const code = (name: string) => expect.objectContaining({ name: 'GoogLeNetError', code: `GOOGLENET_ERR_${name}` })

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let data: ImageFolder
let model: GoogLeNet
const at = (name: string) => join(folder.path, name)
beforeAll(async () => {
  folder = await temporaryFolder()
  await drawPictures(at('photos'), 3, 7)
  data = await ImageFolder.open(at('photos'))
  model = await GoogLeNet.create(SMALL)
})
afterAll(async () => {
  await model.dispose()
  await folder.remove()
})

describe('calibrate', () => {
  it('measures every convolution at inference', async () => {
    const calibration = await model.calibrate(images(5), { method: 'minmax' })
    expect(model.calibration).toBe(calibration)
    expect(calibration).toMatchObject({ method: 'minmax', images: 5 })
    const convolutions = model.summary().layers.filter(({ op, phase }) => op === 'conv' && phase !== 'train')
    expect([...calibration.blobs.keys()].sort()).toEqual(convolutions.map(({ name }) => name).sort())
    expect(calibration.blobs.size).toBe(57)
    for (const { name, shape } of convolutions) {
      const { data } = await model.features(images(5), name)
      const { range, mean } = calibration.blobs.get(name)!
      expect(range).toBeCloseTo(
        data.reduce((max, value) => Math.max(max, value), 0),
        4,
      )
      const [channels, pixels] = [shape[0], shape[1] * shape[2]]
      const sums = new Float64Array(channels)
      data.forEach((value, i) => {
        sums[Math.floor(i / pixels) % channels]! += value
      })
      expect(mean).toHaveLength(channels)
      for (const [c, value] of mean.entries()) expect(value).toBeCloseTo(sums[c]! / (5 * pixels), 3)
    }
  })

  it('does not depend on the size of batches', async () => {
    const by = async (batchSize: number) =>
      [...(await model.calibrate(images(5), { batchSize })).blobs].map(([name, { range }]) => [name, range] as const)
    const [one, five] = [await by(1), new Map(await by(5))]
    // Another batch size may choose other kernels, which round differently.
    for (const [name, range] of one) expect(Math.abs(range / five.get(name)! - 1)).toBeLessThan(0.01)
  })

  it('reads folders and lists, and tells how far it is', async () => {
    const told: { done: number; total: number }[] = []
    const whole = await model.calibrate(data, { onProgress: (progress) => told.push(progress) })
    expect(whole.images).toBe(21)
    expect(told).toEqual([8, 16, 21].map((done) => ({ done, total: 21 })))
    const paths = data.samples.map(({ path }) => path)
    expect((await model.calibrate(paths, { batchSize: 8 })).blobs).toEqual(whole.blobs)
  })

  it('draws the same images of a folder each time', async () => {
    const first = await model.calibrate(data, { limit: 6 })
    expect(first.images).toBe(6)
    expect((await model.calibrate(data, { limit: 6 })).blobs).toEqual(first.blobs)
    const drawn = [...data.order(0, 0)].slice(0, 6).map((index) => data.samples[index]!.path)
    expect((await model.calibrate(drawn, { batchSize: 8 })).blobs).toEqual(first.blobs)
  })

  it('a smaller share of the values has a smaller range', async () => {
    const range = async (percentile: number) =>
      (await model.calibrate(data, { method: 'percentile', percentile })).blobs.get('conv2/3x3')!.range
    const [most, all] = [await range(90), await range(100)]
    expect(most).toBeLessThan(all)
    expect(model.calibration).toMatchObject({ method: 'percentile', percentile: 100 })
  })

  it('passes over what cannot be decoded, unless strict', async () => {
    await drawPictures(at('damaged'), 2, 2)
    await writeFile(join(at('damaged'), 'a', 'bad.jpg'), 'no picture')
    const damaged = await ImageFolder.open(at('damaged'))
    expect((await model.calibrate(damaged)).images).toBe(4)
    await expect(model.calibrate(damaged, { strict: true })).rejects.toThrow('bad.jpg')
  })

  it.each<[string, unknown, object, string, string]>([
    ['a misspelt option', images(1), { metod: 'minmax' }, 'UNKNOWN_OPTION', "did you mean 'method'?"],
    ['an unknown method', images(1), { method: 'mean' }, 'INVALID_ARGUMENT', 'method: expected'],
    ['no images', [], {}, 'INVALID_ARGUMENT', 'images: expected at least one'],
    ['a limit of a list', ['a.jpg'], { limit: 3 }, 'INVALID_ARGUMENT', 'limit: expected an ImageFolder'],
    ['images of another size', new Float32Array(7), {}, 'INVALID_SHAPE', 'float32 (N, 3, 48, 48)'],
    [
      'a single image',
      'a.jpg',
      {},
      'INVALID_ARGUMENT',
      "images: expected an ImageFolder, a list or a batch, got 'a.jpg'",
    ],
    ['a missing file', ['no/such.jpg'], {}, 'FILE_NOT_FOUND', 'no/such.jpg'],
    ['values that are not finite', images(1).fill(Infinity, 0, 1), {}, 'NOT_FINITE', 'images: expected finite values'],
    ['images of NaN', images(1).fill(Number.NaN), {}, 'NOT_FINITE', 'images: expected finite values'],
  ])('refuses %s', async (_, bad, options, name, message) => {
    const before = model.calibration
    const error = await model.calibrate(bad as string[], options).catch((error: Error) => error)
    expect(error).toEqual(code(name))
    expect((error as Error).message).toContain(message)
    expect(model.calibration).toBe(before)
  })

  it('aborted in the middle, nothing of it is left', async () => {
    const controller = new AbortController()
    const onProgress = () => controller.abort('enough')
    const stopped = model.calibrate(data, { batchSize: 4, signal: controller.signal, onProgress })
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect((await model.calibrate(images(2))).images).toBe(2)
    const alone = model.calibration!.blobs
    await using fresh = await GoogLeNet.create(SMALL)
    expect((await fresh.calibrate(images(2))).blobs).toEqual(alone)
  })

  it('one at a time, and not while the weights change', async () => {
    await using one = await GoogLeNet.create(SMALL)
    const first = one.calibrate(images(3))
    await expect(one.calibrate(images(3))).rejects.toThrow('one call at a time')
    await first
    const shaken = one.calibrate(data, { batchSize: 1 }).catch((error: Error) => error)
    await one.step(batch())
    expect(String(await shaken)).toContain('weights that stay as they are')
    expect(one.calibration).toBeUndefined()
  })

  it('ends with the model', async () => {
    const one = await GoogLeNet.create(SMALL)
    const running = one.calibrate(data, { batchSize: 1 })
    await Promise.all([expect(running).rejects.toEqual(code('DISPOSED')), one.dispose()])
    await expect(one.calibrate(images(1))).rejects.toEqual(code('DISPOSED'))
  })
})

describe('a calibration is dropped by', () => {
  it.each<[string, (one: GoogLeNet) => Promise<unknown>]>([
    ['step()', (one) => one.step(batch())],
    [
      'fit()',
      async (one) => {
        for await (const { type } of one.fit(data, { epochs: 1, batchSize: 8, augment: 'none' }))
          expect(type).toBeTruthy()
      },
    ],
    [
      "a worker's push",
      async (one) => {
        const worker = one.worker()
        const local = { rate: 0.001, frozen: [] }
        await worker.compute(batch(), { fetch: true, step: 0, local })
        expect(one.calibration).toBeDefined()
        await worker.push({ optimizer: sgd(), ...local })
      },
    ],
    ['other weights', async (one) => one.setParameters('weights', await one.parameters('weights'))],
  ])('%s', async (_, change) => {
    await using one = await GoogLeNet.create(SMALL)
    await one.calibrate(images(2))
    expect(one.calibration?.images).toBe(2)
    await change(one)
    expect(one.calibration).toBeUndefined()
  })

  it('but not by a step that was refused, or by momentum', async () => {
    await model.calibrate(images(2))
    await expect(model.step({ images: images(1).fill(Number.NaN), labels: [0] })).rejects.toEqual(code('NOT_FINITE'))
    await model.setParameters('momentum', await model.parameters('momentum'))
    expect(model.calibration?.images).toBe(2)
  })
})

describe('files', () => {
  it('safetensors keep it, bit for bit', async () => {
    const calibration = await model.calibrate(data, { method: 'percentile', percentile: 99.5 })
    await model.save(at('q.safetensors'))
    await using copy = await GoogLeNet.load(at('q.safetensors'), { device: 'cpu' })
    expect(copy.calibration).toEqual(calibration)
    expect(await copy.parameters()).toEqual(await model.parameters())
    await copy.save(at('again.safetensors'))
    await using again = await GoogLeNet.load(at('again.safetensors'), { device: 'cpu', classes: 2 })
    expect(again.calibration).toEqual(calibration)
  })

  it('caffemodels cannot', async () => {
    await model.calibrate(images(2))
    await model.save(at('q.caffemodel'))
    await using copy = await GoogLeNet.load(at('q.caffemodel'), { inputSize: SIZE, device: 'cpu' })
    expect(copy.calibration).toBeUndefined()
  })

  it('another input size would see other values', async () => {
    await model.calibrate(images(2))
    await model.save(at('q.safetensors'))
    await using larger = await GoogLeNet.load(at('q.safetensors'), { inputSize: 64, device: 'cpu' })
    expect(larger.calibration).toBeUndefined()
    const refused = GoogLeNet.load(at('q.safetensors'), { inputSize: 64, device: 'cpu', precision: 'int8' })
    await expect(refused).rejects.toThrow('holds none for inputs of 64 pixels')
  })
})

describe('int8 is refused', () => {
  it('without a calibration, with what makes one', async () => {
    await using fresh = await GoogLeNet.create(SMALL)
    await fresh.save(at('plain.safetensors'))
    const load = GoogLeNet.load(at('plain.safetensors'), { device: 'cpu', precision: 'int8' })
    await expect(load).rejects.toEqual(code('UNSUPPORTED'))
    await expect(load).rejects.toThrow(/plain\.safetensors holds none.*googlenet quantize.*model\.calibrate/)
    const create = GoogLeNet.create({ ...SMALL, precision: 'int8' })
    await expect(create).rejects.toEqual(code('UNSUPPORTED'))
    await expect(create).rejects.toThrow('fresh weights have none')
  })
})
