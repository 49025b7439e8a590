/**
 * From the distribution of a blob's values to the range of its 8-bit form, the value that 255 stands for: larger ones
 * are cut to it, smaller ones rounded to multiples of range / 255. Every method weighs the one error against the other.
 */
import { checkNumber, checkOneOf, invalid } from '../options.js'

export const METHODS = ['minmax', 'percentile', 'entropy'] as const
export type Method = (typeof METHODS)[number]

export interface Distribution {
  /** The largest value, within the range. */
  max: number
  /** Bins of [0, range), of the values above 0: 0 is exact in 8 bits whatever the range. */
  range: number
  histogram: Float64Array
}

/** How ranges are chosen; `percentile` with that method alone. */
export interface RangeChoice {
  readonly method: Method
  /** Per cent of the values above 0. */
  readonly percentile?: number
}

const DEFAULT_PERCENTILE = 99.99
/** The largest 8-bit value. */
const TOP = 255

/** @throws GOOGLENET_ERR_INVALID_ARGUMENT */
export function rangeChoice(method: Method = 'entropy', percentile?: number): RangeChoice {
  checkOneOf('method', method, METHODS)
  if (method !== 'percentile') {
    if (percentile === undefined) return { method }
    throw invalid('percentile', "method: 'percentile', which it belongs to", method)
  }
  return { method, percentile: checkNumber('percentile', percentile ?? DEFAULT_PERCENTILE, { min: 50, max: 100 }) }
}

/** 0 where all values are 0. */
export function rangeOf(values: Distribution, { method, percentile = DEFAULT_PERCENTILE }: RangeChoice): number {
  if (method === 'minmax') return values.max
  return method === 'percentile' ? percentileRange(values, percentile) : entropyRange(values)
}

/** The smallest edge of a bin below which that share of all values lies. */
export function percentileRange({ max, range, histogram }: Distribution, percentile: number): number {
  const wanted = (histogram.reduce((sum, count) => sum + count, 0) * percentile) / 100
  let below = 0
  const bin = histogram.findIndex((count) => {
    below += count
    return below >= wanted
  })
  return Math.min(max, ((bin + 1) * range) / histogram.length)
}

/**
 * The edge of a bin with the least Kullback-Leibler divergence (Migacz, 8-bit inference with TensorRT, 2017; here with
 * the 256 levels of unsigned values, of which 0 and 255 are half as wide).
 */
export function entropyRange({ max, range, histogram }: Distribution): number {
  const used = histogram.findLastIndex((count) => count > 0) + 1
  const sums = prefixSums(histogram)
  let best = { kept: used, divergence: divergence(histogram, used, sums) }
  for (let kept = TOP + 1; kept < used; kept++) {
    const one = divergence(histogram, kept, sums)
    if (one < best.divergence) best = { kept, divergence: one }
  }
  return Math.min(max, (best.kept * range) / histogram.length)
}

/**
 * KL(P || Q) in nats. P: the distribution with what lies beyond the bins kept in the last of them. Q: what the levels
 * tell of the bins kept: the bins that one level stands for share its count evenly, empty bins aside. Infinite where Q
 * knows nothing of values that P has.
 */
export function divergence(histogram: Float64Array, kept: number, sums = prefixSums(histogram)): number {
  const { counts, logs, filled } = sums
  const inside = counts[kept]!
  const cut = counts.at(-1)! - inside
  const last = histogram[kept - 1]!
  if (inside === 0) return counts.at(-1)! === 0 ? 0 : Number.POSITIVE_INFINITY
  if (cut > 0 && last === 0) return Number.POSITIVE_INFINITY
  // Sum of p log(p / q), both as counts, with q the same in all bins of a level.
  let total = logs[kept]! - xLogX(last) + xLogX(last + cut)
  for (let level = 0, from = 0; level <= TOP; level++) {
    // The bins whose middle is rounded to this level.
    const to = level === TOP ? kept : Math.ceil(((level + 0.5) * kept) / TOP - 0.5)
    const count = counts[to]! - counts[from]!
    const mean = count / (filled[to]! - filled[from]!)
    if (count > 0) total -= (count + (to === kept && from < kept ? cut : 0)) * Math.log(mean)
    from = to
  }
  return total / (inside + cut) + Math.log(inside / (inside + cut))
}

/** Of the counts, of count * log(count) and of the bins that are not empty: entry i is the sum over the bins before i. */
function prefixSums(histogram: Float64Array) {
  const [counts, logs, filled] = [0, 1, 2].map(() => new Float64Array(histogram.length + 1)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  histogram.forEach((count, i) => {
    counts[i + 1] = counts[i]! + count
    logs[i + 1] = logs[i]! + xLogX(count)
    filled[i + 1] = filled[i]! + (count > 0 ? 1 : 0)
  })
  return { counts, logs, filled }
}

const xLogX = (x: number) => (x > 0 ? x * Math.log(x) : 0)
