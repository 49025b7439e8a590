/** Ranges of 8-bit activations: distributions whose answer is known, and the divergence as its definition reads. */
import { describe, expect, it } from 'vitest'
import {
  type Distribution,
  divergence,
  entropyRange,
  percentileRange,
  rangeChoice,
  rangeOf,
} from '../../lib/model/ranges.js'

const BINS = 2048
/** Bins of [0, 4). */
function distribution(count: (bin: number) => number, max = 4): Distribution {
  return { max, range: 4, histogram: Float64Array.from({ length: BINS }, (_, bin) => count(bin)) }
}
const edge = (bins: number) => (bins * 4) / BINS

function random(seed: number) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe('minmax', () => {
  it('is the largest value', () => {
    expect(
      rangeOf(
        distribution(() => 1, 3.9),
        { method: 'minmax' },
      ),
    ).toBe(3.9)
  })
})

describe('percentile', () => {
  const uniform = distribution((bin) => (bin < 1000 ? 7 : 0), 1.95)

  it.each([
    [50, edge(500)],
    [90, edge(900)],
    [99.8, edge(998)],
    [100, 1.95],
  ])('%d %% of evenly spread values', (percentile, expected) => {
    expect(percentileRange(uniform, percentile)).toBe(expected)
  })

  it('leaves out one value in twenty thousand, but not two', () => {
    const values = (outliers: number) =>
      distribution((bin) => (bin < 100 ? 200 : 0) + (bin === BINS - 1 ? outliers : 0), 3.999)
    expect(rangeOf(values(1), { method: 'percentile', percentile: 99.99 })).toBe(edge(100))
    expect(rangeOf(values(3), { method: 'percentile', percentile: 99.99 })).toBe(3.999)
  })
})

describe('entropy', () => {
  it('keeps all of evenly spread values: levels lose nothing of them, a cut would', () => {
    expect(entropyRange(distribution(() => 5, 3.99))).toBe(3.99)
    expect(divergence(distribution(() => 5).histogram, BINS)).toBeCloseTo(0, 12)
  })

  it('cuts a lone outlier off values that coarser levels would blur', () => {
    // 256 bins of their own counts, as many as there are levels, and one value far away.
    const next = random(3)
    const values = distribution((bin) => (bin < 256 ? Math.ceil(1000 * next()) : bin === BINS - 1 ? 1 : 0))
    expect(entropyRange(values)).toBe(edge(256))
  })

  it('keeps outliers that are a tenth of all values', () => {
    const next = random(3)
    const values = distribution((bin) => (bin < 256 ? Math.ceil(1000 * next()) : bin === BINS - 1 ? 15000 : 0))
    expect(entropyRange(values)).toBe(4)
  })

  it.each([1, 2, 3])('is the least divergence by its definition, distribution %d', (seed) => {
    const next = random(seed)
    const scale = 100 + 200 * next()
    const values = distribution((bin) => Math.round(1000 * Math.exp(-bin / scale) * (0.5 + next())))
    const used = values.histogram.findLastIndex((count) => count > 0) + 1
    let best = { kept: used, divergence: definition(values.histogram, used) }
    for (let kept = 256; kept < used; kept++) {
      const one = definition(values.histogram, kept)
      expect(divergence(values.histogram, kept)).toBeCloseTo(one, 9)
      if (one < best.divergence) best = { kept, divergence: one }
    }
    expect(best.kept).toBeLessThan(used)
    expect(entropyRange(values)).toBe(edge(best.kept))
  })
})

/** KL(P || Q), P and Q written out. */
function definition(histogram: Float64Array, kept: number): number {
  const inside = [...histogram.subarray(0, kept)]
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const p = inside.with(-1, inside.at(-1)! + sum([...histogram]) - sum(inside))
  const level = (bin: number) => Math.round(((bin + 0.5) * 255) / kept)
  const levels: number[][] = Array.from({ length: 256 }, () => [])
  inside.forEach((count, bin) => {
    if (count > 0) levels[level(bin)]!.push(count)
  })
  const q = inside.map((count, bin) => (count > 0 ? sum(levels[level(bin)]!) / levels[level(bin)]!.length : 0))
  const [all, known] = [sum(p), sum(q)]
  return sum(p.map((count, bin) => (count === 0 ? 0 : (count / all) * Math.log(count / all / (q[bin]! / known)))))
}

describe('any method', () => {
  it.each(['minmax', 'percentile', 'entropy'] as const)('%s of nothing but zeros is 0', (method) => {
    expect(rangeOf({ max: 0, range: 0, histogram: new Float64Array(BINS) }, { method })).toBe(0)
  })

  it.each(['minmax', 'percentile', 'entropy'] as const)('%s never exceeds the largest value', (method) => {
    const values = distribution((bin) => (bin < 1025 ? 2000 - bin : 0), 2.0001)
    const range = rangeOf(values, rangeChoice(method))
    expect(range).toBeLessThanOrEqual(2.0001)
    expect(range).toBeGreaterThan(1.5)
  })
})

describe('rangeChoice', () => {
  it('has defaults', () => {
    expect(rangeChoice('percentile')).toEqual({ method: 'percentile', percentile: 99.99 })
    expect(rangeChoice('minmax')).toEqual({ method: 'minmax' })
  })

  it.each([
    ['a method that does not exist', ['mean'], "method: expected 'minmax' or 'percentile' or 'entropy', got 'mean'"],
    ['a percentile for another method', ['minmax', 99], "percentile: expected method: 'percentile'"],
    ['a share instead of per cent', ['percentile', 0.9999], 'percentile: expected a number from 50 to 100'],
  ] as const)('refuses %s', (_, [method, percentile], message) => {
    expect(() => rangeChoice(method as 'minmax', percentile)).toThrow(message)
  })
})
