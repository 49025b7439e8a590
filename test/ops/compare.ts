/** How far tensors are apart. */
import { maxAbs } from '../reference/blob.js'

/** Largest absolute difference, relative to the largest expected value: what a sum of rounded products keeps. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`)
  let largest = 0
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!)
    // Math.max drops nothing, but NaN compares false everywhere: it must never look like agreement.
    if (Number.isNaN(difference)) return Number.NaN
    largest = Math.max(largest, difference)
  }
  const scale = maxAbs(expected)
  return scale === 0 ? largest : largest / scale
}
