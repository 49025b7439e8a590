/** The GoogLeNet class: what goes in and out, what is refused and with which words, dispose and abort. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Batch, evaluate, GoogLeNet, type ImageFolder, sgd } from '../../lib/index.js'
import { writeSafetensors } from '../../lib/weights/safetensors.js'
import { pixels, temporaryFolder } from '../train/pictures.js'

const SIZE = 48
const SMALL = { classes: 3, inputSize: SIZE, width: 0.125, threads: 2, seed: 5, labels: ['a', 'b', 'c'] }

function batch(count: number, seed = 1): Batch {
  const images = Float32Array.from({ length: count * 3 * SIZE * SIZE }, (_, i) => Math.sin(i * seed + seed) * 100)
  return { images, labels: Array.from({ length: count }, (_, i) => i % 3) }
}
const circular: { self?: unknown } = {}
circular.self = circular
const code = (name: string) => expect.objectContaining({ name: 'GoogLeNetError', code: `GOOGLENET_ERR_${name}` })

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let model: GoogLeNet
let picture: { data: Uint8Array; width: number; height: number }
beforeAll(async () => {
  folder = await temporaryFolder()
  model = await GoogLeNet.create(SMALL)
  picture = { data: pixels(0, 1), width: 56, height: 56 }
})
afterAll(async () => {
  await model.dispose()
  await folder.remove()
})

describe('create', () => {
  it.each<[string, object, string, string]>([
    ['a misspelt option', { clases: 3 }, 'UNKNOWN_OPTION', "did you mean 'classes'?"],
    ['one class', { classes: 1 }, 'INVALID_ARGUMENT', 'classes: expected an integer from 2'],
    ['an input too small', { inputSize: 20 }, 'INVALID_ARGUMENT', 'inputSize: expected at least'],
    ['an unknown block', { block: 'dense' }, 'INVALID_ARGUMENT', "block: expected 'reduced' or 'naive', got 'dense'"],
    ['an unknown device', { device: 'tpu' }, 'INVALID_ARGUMENT', 'device: expected'],
    ['cuda', { device: 'cuda' }, 'DEVICE_UNAVAILABLE', "Use device 'cpu'"],
    ['cuda by number', { device: 'cuda:1' }, 'DEVICE_UNAVAILABLE', "device 'cuda:1' is not available: "],
    ['tf32 on the processor', { precision: 'tf32' }, 'UNSUPPORTED', "Use precision 'f32' or 'bf16', or device 'cuda'"],
    [
      'an unknown precision',
      { precision: 'f16' },
      'INVALID_ARGUMENT',
      "'auto' or 'f32' or 'tf32' or 'bf16' or 'int8', got 'f16'",
    ],
    ['exact bf16', { precision: 'bf16', exact: true }, 'INVALID_ARGUMENT', 'use one of them'],
    ['labels of another number', { classes: 3, labels: ['x'] }, 'INVALID_ARGUMENT', 'labels: expected 3 names'],
    ['labels that are numbers', { classes: 2, labels: [1, 2] }, 'INVALID_ARGUMENT', 'labels: expected 2 names'],
    ['a word for labels', { classes: 2, labels: 'ab' }, 'INVALID_ARGUMENT', "one per class, got 'ab'"],
    ['a number for labels', { classes: 2, labels: 5 }, 'INVALID_ARGUMENT', 'labels: expected 2 names'],
    [
      'a value that holds itself',
      { block: circular },
      'INVALID_ARGUMENT',
      "'naive', got <ref *1> { self: [Circular *1] }",
    ],
    ['a BigInt', { classes: 5n }, 'INVALID_ARGUMENT', 'classes: expected an integer from 2 to 1000000, got 5n'],
    ['a dropout of 1', { dropout: { main: 1 } }, 'INVALID_ARGUMENT', 'dropout.main: expected a number from 0 to 0.99'],
    ['a deterministic that is no boolean', { deterministic: 1 }, 'INVALID_ARGUMENT', 'deterministic: expected true'],
    ['exact by a word', { exact: 'yes' }, 'INVALID_ARGUMENT', 'exact: expected true or false'],
    ['no threads', { threads: 0 }, 'INVALID_ARGUMENT', 'threads: expected'],
  ])('refuses %s', async (_, options, name, message) => {
    const error = await GoogLeNet.create(options).catch((error: Error) => error)
    expect(error).toEqual(code(name))
    expect((error as Error).message).toContain(message)
  })

  it('refuses null for options', async () => {
    const refused = (call: string) => `GoogLeNet.${call} options: expected an object, got null`
    await expect(GoogLeNet.create(null as never)).rejects.toThrow(refused('create'))
    await expect(GoogLeNet.load('f', null as never)).rejects.toThrow(refused('load'))
  })

  it("'auto' is what GOOGLENET_DEVICE says", () => {
    expect(model).toMatchObject({ device: 'cpu', deviceReason: 'asked for by GOOGLENET_DEVICE' })
  })

  it("'auto' says why it is f32", async () => {
    expect(model.precision).toBe('f32')
    expect(model.precisionReason).toContain('by rounding alone')
    await using asked = await GoogLeNet.create({ precision: 'f32', exact: true, auxiliary: false, width: 0.125 })
    expect(asked).toMatchObject({ precision: 'f32', precisionReason: 'asked for' })
  })

  it('has the default options of the paper and BVLC', async () => {
    await using full = await GoogLeNet.create({ auxiliary: false })
    expect(full.options).toEqual({
      ...{ classes: 1000, inputSize: 224, width: 1, auxiliary: false, block: 'reduced', filler: 'xavier', seed: 1 },
      dropout: { main: 0.4, auxiliary: 0.7 },
    })
    expect(full.summary()).toMatchObject({ parameters: 6_998_552, macs: 1_582_671_872 })
  })

  it('fills differently for another seed, equally for the same', async () => {
    const weight = async (seed: number) => {
      await using one = await GoogLeNet.create({ ...SMALL, seed })
      return (await one.parameters('weights', ['conv1/7x7_s2.weight'])).get('conv1/7x7_s2.weight')!.data
    }
    expect(await weight(5)).toEqual(await weight(5))
    expect(await weight(6)).not.toEqual(await weight(5))
  })
})

describe('step', () => {
  it('lowers the loss of a batch that is shown again and again', async () => {
    await using one = await GoogLeNet.create({ ...SMALL, dropout: { main: 0, auxiliary: 0 } })
    // One wavelength a class: batch() shows all classes the same wave, which is learnt only by chance.
    const pixels = 3 * SIZE * SIZE
    const images = Float32Array.from(
      { length: 6 * pixels },
      (_, i) => Math.sin(0.01 * i * (1 + (Math.floor(i / pixels) % 3))) * 100,
    )
    const fixed = { images, labels: [0, 1, 2, 0, 1, 2] }
    const first = await one.step(fixed, { rate: 0.005 })
    let last = first
    for (let i = 0; i < 60; i++) last = await one.step(fixed, { optimizer: sgd({ rate: 0.005 }) })
    expect(last.loss).toBeLessThan(first.loss / 10)
    expect(Object.keys(last.losses).sort()).toEqual(['loss1/loss1', 'loss2/loss2', 'loss3/loss3'])
    expect(one.steps).toBe(61)
  })

  it('takes bytes as RGB, (N,H,W,3)', async () => {
    const images = new Uint8Array(2 * SIZE * SIZE * 3).fill(128)
    expect(
      await model.step({ images: { data: images, shape: [2, SIZE, SIZE, 3] }, labels: [0, 1] }, { rate: 0 }),
    ).toEqual(expect.objectContaining({ loss: expect.any(Number), correct: expect.any(Number) }))
  })

  it.each<[string, unknown, string, string]>([
    [
      'images of another size',
      { images: new Float32Array(100), labels: [0] },
      'INVALID_SHAPE',
      'float32 (N, 3, 48, 48)',
    ],
    [
      'channels last for floats',
      { images: { data: new Float32Array(3 * 48 * 48), shape: [1, 48, 48, 3] }, labels: [0] },
      'INVALID_SHAPE',
      'got shape (1, 48, 48, 3)',
    ],
    ['no images', { images: new Float32Array(0), labels: [] }, 'INVALID_SHAPE', 'got 0 values'],
    ['too few labels', { ...batch(2), labels: [0] }, 'INVALID_SHAPE', 'labels: expected 2, one per image, got 1'],
    [
      'a label too large',
      { ...batch(2), labels: [0, 3] },
      'LABEL_OUT_OF_RANGE',
      'labels[1]: expected a class from 0 to 2, got 3',
    ],
    ['a label that is no integer', { ...batch(1), labels: [0.5] }, 'LABEL_OUT_OF_RANGE', 'got 0.5'],
    ['nothing', undefined, 'INVALID_ARGUMENT', 'batch: expected { images, labels }, got undefined'],
    ['a batch of nothing', {}, 'INVALID_ARGUMENT', 'images: expected a Uint8Array or a Float32Array, got undefined'],
    ['null for images', { images: null }, 'INVALID_ARGUMENT', 'a Uint8Array or a Float32Array, got null'],
    [
      'a shape that is no list',
      { images: { data: new Float32Array(3 * 48 * 48), shape: 5 }, labels: [0] },
      'INVALID_ARGUMENT',
      'images.shape: expected a list of numbers, got 5',
    ],
    ['an array of numbers', { images: [1, 2, 3], labels: [0] }, 'INVALID_ARGUMENT', 'a Uint8Array or a Float32Array'],
  ])('refuses %s', async (_, bad, name, message) => {
    const error = await model.step(bad as Batch).catch((error: Error) => error)
    expect(error).toEqual(code(name))
    expect((error as Error).message).toContain(message)
  })

  it.each<[object, string]>([
    [{ next: 5 }, 'next: expected { images, labels }, got 5'],
    [{ optimizer: null }, 'optimizer: expected what sgd(), nesterov(), adagrad() or rmsprop() returns, got null'],
    [{ optimizer: { ...sgd(), momentum: Number.NaN } }, 'optimizer.momentum: expected a number from 0 to 1, got NaN'],
    [{ rate: 1e300 }, "rate: expected a number of at least 0, within float32's range, got 1e+300"],
    [{ frozen: 'conv1/7x7_s2.weight' }, "frozen: expected a list of strings, got 'conv1/7x7_s2.weight'"],
    [{ signal: 5 }, 'signal: expected an AbortSignal, got 5'],
    [{ signal: {} }, 'signal: expected an AbortSignal, got {}'],
  ])('refuses %o and leaves the weights alone', async (options, message) => {
    const before = await model.parameters('weights')
    const error = await model.step(batch(1), options).catch((error: Error) => error)
    expect(error).toEqual(code('INVALID_ARGUMENT'))
    expect((error as Error).message).toContain(message)
    expect(await model.parameters('weights')).toEqual(before)
  })

  it('refuses values that are not finite and leaves the weights alone', async () => {
    const before = await model.parameters('weights')
    const bad = batch(2)
    ;(bad.images as Float32Array)[7] = Number.NaN
    await expect(model.step(bad)).rejects.toEqual(code('NOT_FINITE'))
    expect(await model.parameters('weights')).toEqual(before)
  })
})

describe('predict and features', () => {
  it('gives a list for one image, lists for several, probabilities that add up to 1', async () => {
    const encoded = await sharp(picture.data, { raw: { width: 56, height: 56, channels: 3 } })
      .png()
      .toBuffer()
    const path = join(folder.path, 'picture.png')
    await writeFile(path, encoded)
    const guesses = await model.predict(picture)
    expect(guesses.map(({ label }) => label).sort()).toEqual(['a', 'b', 'c'])
    expect(guesses.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5)
    expect(guesses[0]!.probability).toBeGreaterThanOrEqual(guesses[1]!.probability)
    // One image and two at once may be computed by different kernels.
    const probability = expect.closeTo(guesses[0]!.probability, 5)
    expect(await model.predict([path, encoded, picture], { top: 1 })).toEqual(
      Array(3).fill([{ ...guesses[0], probability }]),
    )
  })

  it('does not depend on how many images are classified at once', async () => {
    const { images } = batch(13)
    const { shape, data } = await model.features(images as Float32Array, 'prob')
    expect(shape).toEqual([13, 3, 1, 1])
    for (const index of [0, 7, 8, 12]) {
      const one = (images as Float32Array).subarray(index * 3 * SIZE * SIZE, (index + 1) * 3 * SIZE * SIZE)
      const alone = await model.features(one, 'prob')
      alone.data.forEach((value, c) => {
        expect(Math.abs(value - data[index * 3 + c]!)).toBeLessThan(1e-5)
      })
    }
  })

  it('takes a batch without its shape', async () => {
    const images = batch(2).images as Float32Array
    const expected = await model.features({ data: images, shape: [2, 3, SIZE, SIZE] }, 'prob')
    expect(await model.features({ data: images }, 'prob')).toEqual(expected)
    expect(await model.predict({ data: new Uint8Array(SIZE * SIZE * 3) })).toHaveLength(1)
  })

  it('refuses memory that others can change or shrink, and images too wide', async () => {
    const resizable = Reflect.construct(ArrayBuffer, [SIZE * SIZE * 3, { maxByteLength: 1 << 20 }]) as ArrayBuffer
    for (const data of [new Uint8Array(new SharedArrayBuffer(SIZE * SIZE * 3)), new Uint8Array(resizable)]) {
      await expect(model.step({ images: data, labels: [0] })).rejects.toEqual(code('INVALID_ARGUMENT'))
      await expect(model.predict({ data })).rejects.toEqual(code('INVALID_ARGUMENT'))
      await expect(model.predict({ data, width: SIZE, height: SIZE })).rejects.toEqual(code('INVALID_ARGUMENT'))
    }
    const wide = { data: new Uint8Array(70_000 * 3), width: 70_000, height: 1 }
    await expect(model.predict(wide)).rejects.toMatchObject({ code: 'GOOGLENET_ERR_INVALID_SHAPE' })
  })

  it('names what cannot be decoded', async () => {
    await writeFile(join(folder.path, 'short.jpg'), Buffer.of(0xff, 0xd8))
    await expect(model.predict(join(folder.path, 'short.jpg'))).rejects.toEqual(code('IMAGE_DECODE'))
    await expect(model.predict(join(folder.path, 'short.jpg'))).rejects.toThrow('short.jpg: ')
  })

  it('refuses an unknown blob with the nearest known one', async () => {
    await expect(model.features(picture, 'pool5/7x7')).rejects.toThrow("did you mean 'pool5/7x7_s1'?")
    await expect(model.features(picture, 'loss1/fc')).rejects.toEqual(code('INVALID_ARGUMENT'))
    for (const blob of [undefined, 5, ['prob']]) {
      await expect(model.features(picture, blob as never)).rejects.toEqual(code('INVALID_ARGUMENT'))
    }
  })

  it.each<[string, unknown, string]>([
    ['a missing file', 'no/such/file.jpg', 'FILE_NOT_FOUND'],
    ['a folder', '/', 'FILE_READ'],
    ['a truncated JPEG', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16), 'IMAGE_DECODE'],
    ['text', new TextEncoder().encode('hello'), 'IMAGE_DECODE'],
    ['pixels of another number', { data: new Uint8Array(10), width: 2, height: 2 }, 'INVALID_SHAPE'],
    ['a number', 7, 'INVALID_ARGUMENT'],
    ['a list of holes', new Array(2), 'INVALID_ARGUMENT'],
  ])('refuses %s', async (_, image, name) => {
    await expect(model.predict(image as string)).rejects.toEqual(code(name))
  })
})

describe('save and load', () => {
  it.each(['model.safetensors', 'model.caffemodel'])('%s gives the same predictions', async (name) => {
    const path = join(folder.path, name)
    await model.save(path)
    await using copy = await GoogLeNet.load(path, { inputSize: SIZE, labels: SMALL.labels, threads: 2 })
    expect(copy.options).toMatchObject({ classes: 3, width: 0.125, auxiliary: true })
    expect(await copy.predict(picture)).toEqual(await model.predict(picture))
  })

  it('other classes start with new classifiers and keep the rest', async () => {
    const path = join(folder.path, 'tuned.safetensors')
    await model.save(path)
    await using tuned = await GoogLeNet.load(path, { classes: 5, seed: 9 })
    expect([tuned.classes, tuned.labels]).toEqual([5, []])
    const [before, after] = [await model.parameters('weights'), await tuned.parameters('weights')]
    expect(after.get('inception_5b/1x1.weight')).toEqual(before.get('inception_5b/1x1.weight'))
    expect(after.get('loss1/fc.weight')).toEqual(before.get('loss1/fc.weight'))
    expect(after.get('loss3/classifier.weight')!.shape).toEqual([5, 128])
    expect(after.get('loss3/classifier.weight')!.data.some((value) => value !== 0)).toBe(true)
  })

  it('a .caffemodel gives back a model for another size, heads and all', async () => {
    const path = join(folder.path, 'sized.caffemodel')
    await model.save(path)
    for (const options of [{}, { inputSize: SIZE }]) {
      await using loaded = await GoogLeNet.load(path, { threads: 2, ...options })
      expect(loaded.options).toMatchObject({ inputSize: SIZE, width: 0.125, classes: 3 })
      const expected = await model.parameters('weights')
      const actual = await loaded.parameters('weights')
      for (const [name, { data }] of expected) expect(actual.get(name)!.data, name).toEqual(data)
    }
  })

  it('heads can be left out and added again', async () => {
    const path = join(folder.path, 'headless.safetensors')
    await using headless = await GoogLeNet.create({ ...SMALL, auxiliary: false })
    await headless.save(path)
    await using trainable = await GoogLeNet.load(path, { auxiliary: true })
    expect(trainable.summary().trainingParameters).toBeGreaterThan(trainable.summary().parameters)
    await model.save(path)
    await using lean = await GoogLeNet.load(path, { auxiliary: false })
    expect(lean.summary().trainingParameters).toBe(lean.summary().parameters)
    expect(await lean.predict(picture)).toEqual(await model.predict(picture))
  })

  it('refuses weights of another width and lists all of them', async () => {
    const path = join(folder.path, 'wide.safetensors')
    await model.save(path)
    const error = await GoogLeNet.load(path, { width: 0.25 }).catch((error: Error) => error)
    expect(error).toEqual(code('WEIGHTS_MISMATCH'))
  })

  it('refuses weights that are not finite', async () => {
    const path = join(folder.path, 'nan.safetensors')
    const weights = await model.parameters('weights')
    weights.get('conv2/3x3.weight')!.data[5] = Number.NaN
    await writeSafetensors(path, weights, {})
    const message = expect.stringContaining("nan.safetensors: values of 'conv2/3x3.weight' are NaN")
    await expect(GoogLeNet.load(path)).rejects.toMatchObject({ code: 'GOOGLENET_ERR_INVALID_FILE', message })
  })

  it('refuses an ending it cannot write', async () => {
    await expect(model.save(join(folder.path, 'model.pth'))).rejects.toEqual(code('UNSUPPORTED'))
    await expect(model.save(join(folder.path, 'no', 'model.safetensors'))).rejects.toEqual(code('FILE_WRITE'))
  })
})

describe('what is no path and no option', () => {
  it.each([undefined, '', 'a\0.safetensors', Buffer.from('a.safetensors'), new URL('file:///a.safetensors')])(
    'load and save refuse %o',
    async (path) => {
      await expect(GoogLeNet.load(path as string)).rejects.toEqual(code('INVALID_ARGUMENT'))
      await expect(model.save(path as string)).rejects.toEqual(code('INVALID_ARGUMENT'))
    },
  )

  it('save and profile refuse misspelt options', async () => {
    await expect(model.save(join(folder.path, 'z.safetensors'), { sgnal: 1 } as never)).rejects.toEqual(
      code('UNKNOWN_OPTION'),
    )
    expect(() => model.profile(1, { trainin: true } as never)).toThrow("did you mean 'training'")
    expect(() => model.profile(1, { training: 1 as never })).toThrow('training: expected true or false, got 1')
  })

  it('no model evaluates nothing', async () => {
    await expect(evaluate([], {} as ImageFolder)).rejects.toEqual(code('INVALID_ARGUMENT'))
  })
})

describe('abort and dispose', () => {
  it('an aborted signal is refused before an image is looked for', async () => {
    const aborted = { signal: AbortSignal.abort() }
    await expect(model.predict('no/such.jpg', aborted)).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await expect(model.predict([], aborted)).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })

  it('an aborted signal is refused before any work', async () => {
    const signal = AbortSignal.abort('no')
    const aborted = expect.objectContaining({ name: 'AbortError', code: 'ABORT_ERR', cause: 'no' })
    await expect(model.step(batch(1), { signal })).rejects.toEqual(aborted)
    await expect(model.predict(picture, { signal })).rejects.toEqual(aborted)
    await expect(model.save(join(folder.path, 'aborted.safetensors'), { signal })).rejects.toEqual(aborted)
  })

  it('aborted during a step, nothing has changed and the next step works', async () => {
    await using one = await GoogLeNet.create({ ...SMALL, inputSize: 224, width: 0.5 })
    const images = new Float32Array(4 * 3 * 224 * 224)
    const before = await one.parameters('weights')
    const controller = new AbortController()
    const step = one.step({ images, labels: [0, 1, 2, 0] }, { signal: controller.signal })
    setImmediate(() => controller.abort())
    await expect(step).rejects.toMatchObject({ name: 'AbortError' })
    expect(await one.parameters('weights')).toEqual(before)
    expect((await one.step({ images, labels: [0, 1, 2, 0] })).loss).toBeGreaterThan(0)
  })

  it('dispose is idempotent, waits for what runs, and later use names the reason', async () => {
    const one = await GoogLeNet.create(SMALL)
    const running = one.step(batch(8)).catch((error) => expect(error).toEqual(code('DISPOSED')))
    const [first, second] = [one.dispose(), one.dispose()]
    expect(first).toBe(second)
    await first
    await running
    for (const use of [() => one.step(batch(1)), () => one.predict(picture), () => one.parameters()]) {
      await expect(use()).rejects.toEqual(code('DISPOSED'))
    }
    expect(() => one.memory()).toThrow('was disposed of')
  })
})
