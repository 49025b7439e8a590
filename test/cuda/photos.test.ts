/** Photos that a device makes images of, from files to losses, beside images from the processor. On the simulated device. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator } from '../simulator/simulator.js'
import { drawPictures, useFolder } from '../train/pictures.js'
import { DONE, inChild, on, PACKAGE } from './child.js'
import { drawPhotos, helpers, testPhotos } from './photos.js'

describe.skipIf(nativeAbsent)(`photos on simulated CUDA${nativeSkipReason}`, () => {
  const files = useFolder()
  const pictures = useFolder()
  beforeAll(async () => {
    buildSimulator()
    await drawPhotos(files.path)
    await drawPictures(pictures.path, 3, 8)
  }, 600_000)
  const run = (script: string) =>
    inChild(`${helpers(files.path)}const pictures = await ImageFolder.open('${pictures.path}')\n${script}`, on({}))

  test('kernels: every policy and size, padding, neighbours, f32 and bf16', () => {
    const program = fileURLToPath(new URL('../../build/simulator/photos', import.meta.url))
    expect(execFileSync(program, { encoding: 'utf8', env: { ...process.env, ...on({}) } })).toBe('')
  })

  testPhotos(on({}), files)

  test('a step, a worker and features give the same for photos as for images', () => {
    const script = `
      const take = async (render) => (await load(render, { policy: policies.caffe({ size: 48 }) }))[0]
      const [host, device] = [await take('host'), await take('device')]
      const push = { optimizer: sgd(), rate: 0.01, frozen: [] }
      for (const { images, labels } of [host, device]) {
        const model = await GoogLeNet.create(small)
        const features = await model.features({ images }.images instanceof Float32Array ? { data: images, shape: [3, 3, 48, 48] } : images, 'prob')
        const losses = []
        for (let i = 0; i < 3; i++) losses.push((await model.step({ images, labels }, { rate: 0.01 })).loss)
        const worker = model.worker()
        const { loss } = await worker.compute({ images, labels }, { fetch: true, step: 9, push, local: { rate: 0.01, frozen: [] } })
        console.log(JSON.stringify([losses, loss, [...features.data]]))
        await model.dispose()
      }`
    const { output, ...end } = run(script)
    expect(end).toEqual(DONE)
    const [images, photos] = output.split('\n')
    expect(photos).toBe(images)
    expect(JSON.parse(photos!).flat(2)).toHaveLength(3 + 1 + 9)
  })

  test('fit and evaluate on a GPU use photos by themselves, with the losses of images', () => {
    const script = `
      const Pipeline = native().Pipeline
      const made = []
      native().Pipeline = class extends Pipeline { constructor(options) { super(options); made.push(options.photos) } }
      const options = { ...small, classes: 2 }, batchSize = 3, optimizer = sgd({ rate: 0.003 })
      const model = await GoogLeNet.create(options)
      const own = [], skipped = []
      for await (const event of model.fit(files, { epochs: 2, batchSize, optimizer, seed: 3 })) {
        if (event.type === 'step') own.push(event.loss)
        if (event.type === 'skip') skipped.push(event.path)
      }
      own.push((await model.evaluate(files)).loss)
      const onDevice = made.splice(0)

      const other = await GoogLeNet.create(options)
      const losses = []
      for (const epoch of [0, 1])
        for await (const { images, labels } of new Loader(files, { batchSize, policy: policies.inception({ size: 48 }), seed: 3, dropLast: true }).epoch(epoch))
          losses.push((await other.step({ images, labels }, { optimizer, rate: 0.003 })).loss)
      const { loss } = await (await import('${PACKAGE}index.js')).evaluate([other], files)
      losses.push(loss)
      made.length = 0
      const processor = await GoogLeNet.create({ ...options, device: 'cpu' })
      await processor.evaluate(files)
      await (await import('${PACKAGE}index.js')).evaluate([other, processor], files)
      console.log(JSON.stringify({ own, losses, onDevice, made, skipped: skipped.length }))`
    const { output, ...end } = run(script)
    expect(end, output).toEqual(DONE)
    const { own, losses, onDevice, made, skipped } = JSON.parse(output)
    expect(onDevice).toEqual([true, true, true])
    expect(made).toEqual([false, false])
    expect(skipped).toBe(2 * 2)
    expect(own).toHaveLength(2 * 3 + 1)
    expect(losses).toHaveLength(2 * 3 + 1)
    for (const [i, loss] of own.entries()) expect(Math.abs(loss / losses[i] - 1)).toBeLessThan(1e-4)
  })

  test.each(['sync: true', 'pushEvery: 2'])('workers train on photos, %s', (how) => {
    const script = `
      const model = await GoogLeNet.create(small)
      for await (const event of model.fit(pictures, { epochs: 1, batchSize: 4, workers: 2, ${how} }))
        if (event.type === 'epoch') console.log(Number.isFinite(event.loss), event.imagesSeen)`
    expect(run(script)).toEqual({ ...DONE, output: 'true 24' })
  })

  test('released photos are gone, and the model says so', () => {
    const script = `
      const [{ images, labels, release }] = await load('device')
      const model = await GoogLeNet.create(small)
      release(), release()
      console.log(images.data.length, await codeOf(() => model.step({ images, labels })))`
    expect(run(script)).toEqual({ ...DONE, output: '0 GOOGLENET_ERR_INVALID_ARGUMENT' })
  })

  test('photos are for GPUs, and for the size of their policy', () => {
    const script = `
      const [{ images, labels }] = await load('device')
      const processor = await GoogLeNet.create({ ...small, device: 'cpu' })
      console.log(await codeOf(() => processor.step({ images, labels })))
      const larger = await GoogLeNet.create({ ...small, inputSize: 64 })
      console.log(await codeOf(() => larger.step({ images, labels })))
      console.log(await codeOf(() => new Loader(files, { batchSize: 1, policy: policies.none(), render: 'gpu' })))`
    const codes = ['GOOGLENET_ERR_UNSUPPORTED', 'GOOGLENET_ERR_INVALID_SHAPE', 'GOOGLENET_ERR_INVALID_ARGUMENT']
    expect(run(script)).toEqual({ ...DONE, output: codes.join('\n') })
  })

  test('a damaged block is refused', () => {
    // gn_photos: bytes (64 bits), count, size; gn_photo: offset (64 bits), width, height, across, down, gn_colours.
    const script = `
      const [{ images, labels }] = await load('device', { policy: policies.inception({ size: 48 }) })
      const model = await GoogLeNet.create(small)
      const Photos = images.constructor
      const step = (data) => codeOf(() => model.step({ images: new Photos(data, 3, 48), labels }))
      const first = new DataView(images.data.buffer).getInt32(16, true)
      const fields = {
        bytes: [0, 7], count: [8, 0, -1, 2, 4, 1 << 30], size: [12, 0, 47, 49, 1 << 30],
        offset: [16, 0, 8, first + 1, 1 << 30, -8], offsetAbove: [20, 1, -1], width: [24, 0, -1, 1 << 20, 65535],
        height: [28, 0, 1 << 20, 65535], across: [32, 0, -1, 1 << 20], down: [36, 0, 1 << 20],
        changes: [40, -1, 4], change: [44, -1, 3], firstPixel: [first, -1, 1 << 20], lastPixel: [first + 4 * 47, 65535],
      }
      for (const [name, [at, ...values]] of Object.entries(fields))
        for (const value of values) {
          const data = images.data.slice()
          new DataView(data.buffer).setInt32(at, value, true)
          const code = await step(data)
          if (!/^GOOGLENET_ERR_INVALID_(ARGUMENT|SHAPE)$/.test(code)) console.log(name, value, code)
        }
      for (const length of [0, 8, 16, 100, images.data.length - 1]) console.log(await step(images.data.slice(0, length)))
      const moved = new Uint8Array(images.data.length + 1)
      moved.set(images.data, 1)
      console.log(await step(moved.subarray(1)))
      const join = (photos, from, count) => codeOf(() => native().joinPhotos([{ photos, from, count }]))
      console.log(await join(images.data, 2, 2), await join(images.data.slice(0, 100), 0, 1), await join(images.data, 1, 2))
      console.log(await step(images.data.slice()), await step(native().joinPhotos([0, 1, 2].map((from) => ({ photos: images.data, from, count: 1 })))))`
    const refused = 'GOOGLENET_ERR_INVALID_ARGUMENT'
    const output = [...Array(6).fill(refused), `${refused} ${refused} done`, 'done done']
    expect(run(script)).toEqual({ ...DONE, output: output.join('\n') })
  })
})
