/** Batches brought to the simulated device while the step before computes: the bits of batches that are not. */
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, type Simulation, wrongCopies } from '../simulator/simulator.js'
import { drawPictures, useFolder } from '../train/pictures.js'
import { DONE, HELPERS, inChild, on, PACKAGE } from './child.js'

/** `train(model, batches, announce)`: steps over the batches; losses, and the weights' digest at the end. */
const TRAIN = `
  const train = async (model, batches, announce) => {
    const losses = []
    for (const [i, batch] of batches.entries())
      losses.push((await model.step(batch, { rate: 0.01, next: announce(batches, i) })).loss)
    return losses.join(' ') + ' ' + (await digest(model))
  }
  const following = (batches, i) => batches[i + 1]
`

describe.skipIf(nativeAbsent)(`the next batch on simulated CUDA${nativeSkipReason}`, () => {
  const folder = useFolder()
  beforeAll(buildSimulator, 600_000)
  test('bytes of every length, by one thread and by several', () => expect(wrongCopies()).toBe(''))

  const run = (script: string, simulation: Simulation = {}) => inChild(HELPERS + TRAIN + script, on(simulation))

  const both = (options: string, batches: string, announce: string) => `
    const batches = ${batches}
    for (const announce of [() => undefined, ${announce}]) {
      const model = await GoogLeNet.create({ ...small, ${options} })
      console.log(await train(model, batches, announce))
      await model.dispose()
    }`
  /** Two lines, without announcing and with it. */
  const expectEqual = ({ output, ...end }: ReturnType<typeof run>, line = /^(\S+ ){3}/) => {
    expect(end).toEqual(DONE)
    const [without, announced, ...more] = output.split('\n')
    expect(more).toEqual([])
    expect(without).toMatch(line)
    expect(announced).toBe(without)
  }

  test.each([
    ['recorded', 'capture: true'],
    ['told', 'capture: false'],
    ['in bf16', "precision: 'bf16'"],
  ])('%s', (_, options) =>
    expectEqual(run(both(options, '[0, 1, 2, 3, 4].map((step) => noise(2, step))', 'following'))),
  )

  test('of another size, of bytes, and larger than a slot', () => {
    const batches = `[noise(2, 0), noise(3, 1), noise(160, 2), noise(2, 3), noise(1, 4),
      { images: new Uint8Array(2 * 48 * 48 * 3).map((_, i) => i * 7), labels: [0, 1] }, noise(2, 5)]`
    expectEqual(run(both('', batches, 'following')))
  })

  test('announced and then not given, given twice, or announced in vain', () => {
    const wrong = '(batches, i) => [batches[0], batches[i], undefined, batches[i + 1]][i % 4]'
    expectEqual(run(both('', '[0, 1, 2, 3, 3, 4, 5, 6].map((step) => noise(2, step))', wrong)))
  })

  test('announced by a step that fails or is aborted', () => {
    const script = `
      const [a, b, c] = [0, 1, 2].map((step) => noise(2, step))
      const bad = noise(2, 3)
      bad.images[0] = NaN
      // Seen on its thread, when the step's batch has been loaded: an abort from outside may come after the step's end.
      const { signal } = new AbortController()
      signal.addEventListener = (_, abort) => abort()
      for (const announce of [(next) => undefined, (next) => next]) {
        const model = await GoogLeNet.create(small)
        const step = (batch, next, more) => model.step(batch, { rate: 0.01, next: announce(next), ...more })
        const codes = []
        const failing = (batch, next, more) => step(batch, next, more).catch(({ code }) => codes.push(code))
        const losses = []
        for (const next of [a, bad]) losses.push((await step(a, next)).loss)
        await failing(bad, b)
        losses.push((await step(b, c)).loss)
        await failing(c, b, { signal })
        for (const batch of [b, c]) losses.push((await step(batch, c)).loss)
        console.log(codes.join(' '), losses.join(' '), model.steps, await digest(model))
      }`
    expectEqual(run(script), /^GOOGLENET_ERR_NOT_FINITE ABORT_ERR (\d\S+ ){5}5 /)
  })

  test('announced by steps that were refused, and changed since', () => {
    const script = `
      const signal = AbortSignal.abort()
      for (const announce of [false, true]) {
        const [a, b] = [0, 1].map((step) => noise(2, step))
        const model = await GoogLeNet.create(small)
        const step = (batch, next, more) => model.step(batch, { rate: 0.01, next: announce ? next : undefined, ...more })
        await step(a, b)
        for (const [batch, next] of [[b, a], [a, b]]) await step(batch, next, { signal }).catch(() => {})
        b.images.reverse()
        console.log((await step(b)).loss, model.steps, await digest(model))
      }`
    expectEqual(run(script), /^\d\S+ 2 /)
  })

  test('no memory to bring it early fails no step', () => {
    // A batch of 160 is 4 MiB, which the device must hold twice to bring the next one early.
    const script = `
      const model = await GoogLeNet.create(small)
      const codes = []
      for (const next of [undefined, noise(160, 1), noise(2, 1)])
        codes.push(await model.step(noise(2, 0), { next }).then(() => 'done', ({ code }) => code))
      console.log(codes.join(' '), Math.ceil((await model.memory().total) / 2 ** 20))`
    const { output } = run(script)
    const [, needed] = /^done done done (\d+)$/.exec(output)!
    expect(run(script, { memory: Number(needed) - 3 }).output).toMatch(/^done done done /)
  })

  test('while the batch before is still on its way into the network', () => {
    // 17 MB are more than the three pinned slots hold: what the device was asked for is done before they are sent.
    const script = `
      const { native } = await import('${PACKAGE}native.js')
      const layers = [
        { name: 'data', op: 'input', channels: 3, height: 1200, width: 1200 },
        { name: 'pool', op: 'pool', src: 'data', kind: 'average', kernel: 'global' },
        { name: 'fc', op: 'linear', src: 'pool', outputs: 2, weightFiller: { type: 'xavier' } },
        { name: 'loss', op: 'loss', src: 'fc' },
      ]
      const shape = [1, 3, 1200, 1200]
      const inputs = [1, 2, 3, 4].map((value) => ({ shape, data: new Float32Array(3 * 1200 * 1200).fill(value) }))
      for (const announce of [false, true]) {
        const session = new (native().Session)({ layers, device: 'cuda' })
        await session.initialize(1)
        const losses = []
        for (const [step, input] of inputs.entries()) {
          const options = { rate: 0.1, step, next: announce ? inputs[step + 1] : undefined, announced: announce && step > 0 }
          losses.push((await session.step(input, Int32Array.of(1), options)).loss)
        }
        console.log(losses.join(' '))
      }`
    expectEqual(run(script))
  })

  test('in fit(): what one worker gives, who is told of no batch before its turn', async () => {
    await drawPictures(folder.path, 3, 7)
    const script = `
      const { ImageFolder } = await import('${PACKAGE}index.js')
      const data = await ImageFolder.open('${folder.path}')
      for (const workers of [undefined, 1]) {
        const model = await GoogLeNet.create(small)
        let last
        for await (const event of model.fit(data, { epochs: 2, batchSize: 4, augment: 'caffe', workers })) last = event
        console.log(last.epoch, last.imagesSeen, last.loss, await digest(model))
        await model.dispose()
      }`
    expectEqual(run(script))
  })

  test('features of more images than are computed at once', () => {
    const script = `
      const model = await GoogLeNet.create({ ...small, auxiliary: false })
      const { images } = noise(171, 1)
      const all = await model.features(images, 'prob')
      const one = 3 * 48 * 48
      let largest = 0
      for (const i of [0, 127, 128, 159, 160, 170]) {
        const { data } = await model.features(images.subarray(i * one, (i + 1) * one), 'prob')
        data.forEach((p, k) => void (largest = Math.max(largest, Math.abs(p - all.data[i * 3 + k]))))
      }
      console.log(all.shape.join(' '), largest < 1e-6)`
    expect(run(script)).toEqual({ ...DONE, output: '171 3 1 1 true' })
  })

  test('what is not a batch is refused before anything happens', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      const next = { images: new Float32Array(5), labels: [] }
      console.log(await model.step(noise(2, 0), { next }).catch(({ code }) => code), model.steps)`
    expect(run(script)).toEqual({ ...DONE, output: 'GOOGLENET_ERR_INVALID_SHAPE 0' })
  })
})
