/** What fit()'s worker options come to, and how staleness is summed up. */
import { describe, expect, it } from 'vitest'
import { adagrad, sgd } from '../../lib/index.js'
import { Staleness } from '../../lib/train/staleness.js'
import { batchesPerUpdate, correctedMomentum, resolveWorkers, workerPlaces } from '../../lib/train/worker-options.js'

describe('worker options', () => {
  it('threads are shared out whole, at least one each', () => {
    const threads = (all: number, workers: number) =>
      workerPlaces(all, { workers, devices: ['cpu'] }).map(({ threads }) => threads)
    expect(threads(8, 3)).toEqual([3, 3, 2])
    expect(threads(2, 4)).toEqual([1, 1, 1, 1])
  })

  it('workers are dealt out over the devices in turns', () => {
    const devices = ['cuda:0', 'cuda:1'] as const
    const places = workerPlaces(1, { workers: 5, devices }).map(({ device }) => device)
    expect(places).toEqual(['cuda:0', 'cuda:1', 'cuda:0', 'cuda:1', 'cuda:0'])
    expect(resolveWorkers({ workers: 2 }, 'cpu')!.devices).toEqual(['cpu'])
  })

  it('an update is one batch, a group of them, or a round', () => {
    const per = (options: object) => batchesPerUpdate(resolveWorkers({ workers: 6, ...options }, 'cpu'))
    expect(per({})).toBe(1)
    expect(per({ softsync: 1 })).toBe(6)
    expect(per({ softsync: 4 })).toBe(1) // floor(6 / 4)
    expect(per({ softsync: 2, pushEvery: 2 })).toBe(6)
    expect(per({ sync: true, backupWorkers: 2 })).toBe(4)
    expect(batchesPerUpdate(resolveWorkers({}, 'cpu'))).toBe(1)
  })

  it('momentum is lowered by the 1 - 1/W that W asynchronous workers add, not below 0', () => {
    const momentum = (workers: number) => correctedMomentum(sgd({ momentum: 0.9 }), workers)
    expect(momentum(1)).toEqual(sgd({ momentum: 0.9 }))
    expect(momentum(2)).toMatchObject({ momentum: expect.closeTo(0.4, 12) })
    expect(momentum(16)).toMatchObject({ momentum: 0 })
    expect(correctedMomentum(adagrad(), 4)).toEqual(adagrad())
  })
})

describe('staleness', () => {
  it('mean, quantiles, histogram, refusals', () => {
    const staleness = new Staleness()
    expect(staleness.summary()).toEqual({ pushes: 0, mean: 0, p50: 0, p95: 0, max: 0, histogram: [], rejected: 0 })
    for (let i = 0; i < 18; i++) staleness.add(1, true)
    staleness.add(0, true)
    staleness.add(5, false)
    expect(staleness.summary()).toEqual({
      ...{ pushes: 20, mean: 23 / 20, p50: 1, p95: 1, max: 5 },
      ...{ histogram: [1, 18, 0, 0, 0, 1], rejected: 1 },
    })
  })
})
