/** Counting of top-1, top-5 and loss; melting of step events. */
import { describe, expect, it } from 'vitest'
import { Metrics, topClasses } from '../../lib/train/metrics.js'

describe('metrics', () => {
  it('counts ranks', () => {
    const metrics = new Metrics(7)
    const falling = Float32Array.of(0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02)
    for (const label of [0, 4, 5, 0]) metrics.add(falling, label)
    const result = metrics.result()
    expect(result).toMatchObject({ images: 4, top1: 0.5, top5: 0.75, skipped: 0 })
    expect(result.loss).toBeCloseTo(-(2 * Math.log(0.4) + Math.log(0.08) + Math.log(0.05)) / 4, 6)
    expect(result.perClass[0]).toEqual({ images: 2, top1: 1, takenFor: [] })
    expect(result.perClass[5]).toEqual({ images: 1, top1: 0, takenFor: [{ index: 0, images: 1 }] })
    expect(result.perClass[1]).toEqual({ images: 0, top1: 0, takenFor: [] })
  })

  it('tells what a class was taken for, most often first', () => {
    const metrics = new Metrics(3)
    const sure = (index: number) => Float32Array.from({ length: 3 }, (_, i) => (i === index ? 0.8 : 0.1))
    for (const guess of [2, 0, 1, 2, 1, 2]) metrics.add(sure(guess), 0)
    metrics.add(sure(1), 1)
    expect(metrics.result().perClass[0]).toEqual({
      ...{ images: 6, top1: 1 / 6 },
      takenFor: [2, 1].map((index) => ({ index, images: index + 1 })),
    })
    expect(metrics.result().perClass[1]).toEqual({ images: 1, top1: 1, takenFor: [] })
  })

  it('NaN is never right', () => {
    const metrics = new Metrics(6)
    metrics.add(new Float32Array(6).fill(Number.NaN), 0)
    metrics.add(Float32Array.of(0.5, Number.NaN, 0.2, 0.1, 0.1, 0.1), 1)
    const result = metrics.result()
    expect(result).toMatchObject({ images: 2, top1: 0, top5: 0, loss: Number.NaN })
    expect(result.perClass[0]).toEqual({ images: 1, top1: 0, takenFor: [] })
    expect(result.perClass[1]).toEqual({ images: 1, top1: 0, takenFor: [{ index: 0, images: 1 }] })
  })

  it('the lower index wins among equals, as in topClasses', () => {
    const metrics = new Metrics(2)
    metrics.add(Float32Array.of(0.5, 0.5), 1)
    expect(metrics.result().top1).toBe(0)
    expect(topClasses([0.5, 0.5], 1)).toEqual([0])
  })

  it('a probability of 0 gives a finite loss; no images give zeros', () => {
    const metrics = new Metrics(2)
    expect(metrics.result()).toMatchObject({ images: 0, top1: 0, loss: 0 })
    metrics.add(Float32Array.of(1, 0), 1)
    expect(metrics.result().loss).toBeCloseTo(87.33, 1)
  })
})
