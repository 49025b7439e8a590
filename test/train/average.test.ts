/** Averages of the weights: by definition, in fit(), and in what is saved. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { average, GoogLeNet } from '../../lib/index.js'
import { all, epochsOf, OPTIONS, SMALL, stateOf, useData } from './team.js'

const folder = await useData()

describe('averaging', () => {
  it('reports raw and averaged figures, keeps and saves the average', async () => {
    const out = join(folder.path, 'averaged')
    await using model = await GoogLeNet.create(SMALL)
    const options = { ...OPTIONS, epochs: 3, validation: folder.validation, average: average.polyak({ from: 12 }), out }
    const epochs = epochsOf(await all(model.fit(folder.data, options)))
    for (const { validation, averaged } of epochs) expect([validation!.images, averaged!.images]).toEqual([12, 12])
    expect(epochs[0]!.averaged).toMatchObject({ loss: epochs[0]!.validation!.loss })
    expect(epochs[2]!.averaged!.loss).not.toBe(epochs[2]!.validation!.loss)
    // The model that is saved is the averaged one; the checkpoint goes on with the raw.
    await using best = await GoogLeNet.load(join(out, 'best', 'model.safetensors'))
    await using again = await GoogLeNet.load(join(out, 'best', 'checkpoint.safetensors'))
    const [a, b] = [await stateOf(best, ['weights']), await stateOf(again, ['weights'])]
    const top1 = Math.max(...epochs.map(({ averaged }) => averaged!.top1))
    expect((await best.evaluate(folder.validation)).top1).toBe(top1)
    if (epochs.findIndex(({ averaged }) => averaged!.top1 === top1) > 0) expect(a).not.toEqual(b)
  })

  /** The reference: what the average is after update number `t` behind its beginning. */
  it.each<['polyak' | 'ema', (t: number, average: number, weight: number) => number]>([
    ['polyak', (t, average, weight) => average + (weight - average) / t],
    // TensorFlow's warm-up decides while it is below the decay: (1 + t) / (10 + t) = 0.27, 0.33, 0.38, then 0.35.
    [
      'ema',
      (t, average, weight) => {
        const decay = t === 1 ? 0 : Math.min(0.35, (1 + t) / (10 + t))
        return decay * average + (1 - decay) * weight
      },
    ],
  ])('%s is what its definition says of the weights after each update', async (kind, next) => {
    await using model = await GoogLeNet.create({ ...SMALL, dropout: { main: 0, auxiliary: 0 } })
    const name = 'conv1/7x7_s2.weight'
    const expected = Float64Array.from((await model.parameters('weights', [name])).get(name)!.data)
    await model.keepAverage({ kind, from: 2, decay: 0.35 }, 0)
    const pixels = 3 * 48 * 48
    const images = Float32Array.from(
      { length: 4 * pixels },
      (_, i) => Math.sin(0.01 * i * (1 + Math.floor(i / pixels))) * 100,
    )
    for (let update = 1; update <= 6; update++) {
      await model.step({ images, labels: [0, 1, 2, 0] }, { rate: 0.002 })
      const { data } = (await model.parameters('weights', [name])).get(name)!
      data.forEach((value, i) => {
        expected[i] = update > 2 ? next(update - 2, expected[i]!, value) : value
      })
    }
    const { data: mean } = (await model.parameters('average', [name])).get(name)!
    mean.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-7)
    })
  })
})
