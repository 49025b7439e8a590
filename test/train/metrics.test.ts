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
    expect(result.perClass[0]).toEqual({ images: 2, top1: 1 })
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
