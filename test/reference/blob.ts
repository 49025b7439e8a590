/**
 * The float64 tensor of the reference: (N, C, H, W), dense, in that order. The reference is written to be read
 * against Caffe's formulas and shares no code with native/ or lib/, so that an error in one shows in the other.
 */
import type { Pair } from '../../lib/model/layer.js'

export type Shape = readonly [n: number, c: number, h: number, w: number]

export interface Blob {
  shape: Shape
  data: Float64Array
}

export function zeros(shape: Shape): Blob {
  return { shape, data: new Float64Array(shape[0] * shape[1] * shape[2] * shape[3]) }
}

/** Shapes of fewer dimensions are completed with ones: (N, C) is (N, C, 1, 1). */
export function blob(shape: readonly number[], data: ArrayLike<number>): Blob {
  const result = zeros([shape[0] ?? 1, shape[1] ?? 1, shape[2] ?? 1, shape[3] ?? 1])
  if (data.length !== result.data.length) throw new Error(`${data.length} values for shape ${shape.join('x')}`)
  result.data.set(data)
  return result
}

export function pair(value: Pair | undefined, otherwise: number): readonly [h: number, w: number] {
  if (value === undefined) return [otherwise, otherwise]
  return typeof value === 'number' ? [value, value] : value
}

export function maxAbs(values: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!))
  return largest
}
