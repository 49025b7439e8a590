/**
 * Central finite differences of the float64 reference. One number, the objective, is differentiated in a few random
 * directions that move every element of a tensor at once, and along some single elements.
 */
import type { Random } from './random.js'

/**
 * f(x + h v) - f(x - h v) over 2 h. The truncation error grows with h^2, rounding with 2^-53 f / h; h = 1e-6 keeps
 * both below 1e-8 of the objective, and few ReLUs or maxima change sides within it.
 */
export function directionalDerivative(objective: () => number, x: Float64Array, v: Float64Array, h = 1e-6): number {
  const original = x.slice()
  const at = (sign: number) => {
    for (let i = 0; i < x.length; i++) x[i] = original[i]! + sign * h * v[i]!
    return objective()
  }
  const difference = at(1) - at(-1)
  x.set(original)
  return difference / (2 * h)
}

/** Directions for one tensor: dense ones of unit length, and unit vectors. */
export function directions(length: number, random: Random, dense: number, single: number): Float64Array[] {
  const result: Float64Array[] = []
  for (let k = 0; k < dense; k++) {
    const v = Float64Array.from({ length }, () => random.normal())
    const norm = Math.sqrt(v.reduce((sum, value) => sum + value * value, 0))
    result.push(v.map((value) => value / norm))
  }
  for (let k = 0; k < Math.min(single, length); k++) {
    const v = new Float64Array(length)
    v[random.integer(length)] = 1
    result.push(v)
  }
  return result
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
