/** Schedules against published values (BVLC solver.prototxt, quick_solver.prototxt; paper, section 6). */
import { describe, expect, it } from 'vitest'
import { average, checkAverage } from '../../lib/train/average.js'
import { adagrad, checkOptimizer, nesterov, type Optimizer, rmsprop, sgd } from '../../lib/train/optimizer.js'
import { schedules } from '../../lib/train/schedule.js'

const EPOCH = 1_281_167
const run = { imagesPerEpoch: EPOCH, totalImages: 2_400_000 * 32 }

describe('schedules', () => {
  it('constant', () => expect(schedules.constant({ base: 0.3 }).rate(1e9, run)).toBe(0.3))

  it('step: solver.prototxt multiplies by 0.96 every 320,000 iterations of 32', () => {
    const { rate } = schedules.step()
    const at = (iteration: number) => rate(iteration * 32, run)
    expect(at(319_999)).toBe(0.01)
    expect(at(320_000)).toBeCloseTo(0.0096, 12)
    expect(at(640_000)).toBeCloseTo(0.009216, 12)
    expect(at(10_000_000)).toBeCloseTo(0.01 * 0.96 ** 31, 12)
  })

  it('poly: quick_solver.prototxt falls with the root of what is left of 2,400,000 iterations', () => {
    const { rate } = schedules.poly()
    const at = (iteration: number) => rate(iteration * 32, run)
    expect(at(0)).toBe(0.01)
    expect(at(600_000)).toBeCloseTo(0.01 * Math.sqrt(0.75), 12)
    expect(at(1_200_000)).toBeCloseTo(0.00707106781, 10)
    expect(at(1_800_000)).toBeCloseTo(0.005, 12)
    expect(at(2_400_000)).toBe(0)
    expect(at(2_400_001)).toBe(0)
  })

  it('paper: 4 % less every 8 epochs', () => {
    const { rate } = schedules.paper({ base: 0.01 })
    expect(rate(8 * EPOCH - 1, run)).toBe(0.01)
    expect(rate(8 * EPOCH, run)).toBeCloseTo(0.0096, 12)
    expect(rate(80 * EPOCH, run)).toBeCloseTo(0.01 * 0.96 ** 10, 12)
  })

  it('cosine: half at half way, final at the end', () => {
    const { rate } = schedules.cosine({ base: 0.1, final: 0.02 })
    expect(rate(0, run)).toBeCloseTo(0.1, 12)
    expect(rate(run.totalImages / 2, run)).toBeCloseTo(0.06, 12)
    expect(rate(run.totalImages, run)).toBeCloseTo(0.02, 12)
  })

  it('warmup rises linearly and then leaves the inner schedule alone', () => {
    const { rate } = schedules.warmup(schedules.constant({ base: 0.1 }), { images: 1000, from: 0.1 })
    expect(rate(0, run)).toBeCloseTo(0.01, 12)
    expect(rate(500, run)).toBeCloseTo(0.055, 12)
    expect(rate(1000, run)).toBe(0.1)
    expect(rate(5000, run)).toBe(0.1)
  })

  it('refuses unknown options and values that are no rates', () => {
    expect(() => schedules.poly({ pwer: 1 } as object)).toThrow(/unknown option 'pwer'; did you mean 'power'/)
    expect(() => schedules.constant({ base: Number.NaN })).toThrow(/schedules.constant base: expected a number/)
    expect(() => schedules.constant({ base: -1 })).toThrow(/at least 0, got -1/)
    expect(() => schedules.constant({ base: 1e300 })).toThrow(/within float32's range, got 1e\+300/)
    expect(() => schedules.cosine(null as never)).toThrow('schedules.cosine options: expected an object, got null')
  })

  it('refuses steps of no images, and a rise whose length is missing', () => {
    expect(() => schedules.step({ every: 0 })).toThrow('schedules.step every: expected a number of at least 1, got 0')
    expect(() => schedules.step({ gamma: -0.5 })).toThrow('schedules.step gamma: expected a number of at least 0')
    expect(schedules.step({ every: 1 }).rate(0, run)).toBe(0.01)
    const warmup = (options: object) => () => schedules.warmup(schedules.constant(), options as { images: number })
    expect(warmup({})).toThrow('schedules.warmup images: expected a number of at least 0, got undefined')
    expect(warmup({ imags: 5 })).toThrow("did you mean 'images'")
  })
})

describe('sgd', () => {
  it('has the defaults of paper and solver', () => {
    expect(sgd()).toEqual({ kind: 'sgd', rate: 0.01, momentum: 0.9, weightDecay: 2e-4, clip: 0 })
  })
  it('refuses what it does not know', () => {
    expect(() => sgd({ momentun: 0.9 } as object)).toThrow(/did you mean 'momentum'/)
    expect(() => sgd({ momentum: 2 })).toThrow(/from 0 to 1, got 2/)
  })
})

describe('numbers that the engine holds in float32', () => {
  it.each<[string, () => Optimizer, string]>([
    ['beyond it', () => sgd({ weightDecay: 1e300 }), 'weightDecay: expected a number of at least 0, within float32'],
    ['rounded to infinity', () => nesterov({ rate: 3.5e38 }), 'rate: expected a number of at least 0, within float32'],
    [
      'infinite',
      () => sgd({ clip: Number.POSITIVE_INFINITY }),
      'clip: expected a number of at least 0, within float32',
    ],
    ['rounded to 0', () => adagrad({ epsilon: 1e-60 }), 'epsilon: expected a number above 0, within float32'],
    [
      'rounded to 0',
      () => rmsprop({ epsilon: 1e-60, initial: 0 }),
      'epsilon: expected a number above 0, within float32',
    ],
    ['0', () => rmsprop({ epsilon: 0 }), 'epsilon: expected a number above 0, got 0'],
  ])('%s', (_, make, message) => expect(make).toThrow(message))

  it('the largest and the smallest are taken', () => {
    expect(sgd({ rate: 3.4e38 })).toMatchObject({ rate: 3.4e38 })
    expect(adagrad({ epsilon: 1e-44 })).toMatchObject({ epsilon: 1e-44 })
  })
})

describe('plain data is checked again', () => {
  it.each<[unknown, string]>([
    [{ ...sgd(), momentum: Number.NaN }, 'optimizer.momentum: expected a number from 0 to 1, got NaN'],
    [{ ...adagrad(), epsilon: 1e-60 }, 'optimizer.epsilon: expected a number above 0, within float32'],
    [{ kind: 'sgd', rate: 0.1 }, 'optimizer.weightDecay: expected a number of at least 0, got undefined'],
    [{ ...rmsprop(), momentun: 0.9 }, "optimizer rmsprop: unknown option 'momentun'; did you mean 'momentum'"],
    [{ kind: 'toString' }, 'optimizer: expected what sgd(), nesterov(), adagrad() or rmsprop() returns'],
    [null, 'optimizer: expected what sgd(), nesterov(), adagrad() or rmsprop() returns, got null'],
  ])('an optimizer, %o', (given, message) => expect(() => checkOptimizer(given as Optimizer)).toThrow(message))

  it('what is whole passes', () => {
    for (const one of [sgd(), nesterov(), adagrad(), rmsprop()]) expect(checkOptimizer(one)).toBe(one)
    for (const one of [average.polyak(), average.ema({ from: 3 })]) expect(checkAverage(one)).toEqual(one)
  })

  it('an average', () => {
    const broken = { ...average.ema(), decay: Number.NaN }
    expect(() => checkAverage(broken)).toThrow('decay: expected a number from 0 to 1, got NaN')
    expect(() => checkAverage(5 as never)).toThrow('average: expected what average.polyak() or ema() returns, got 5')
  })
})
