/**
 * What a reference layer is. `forward` computes the row's blob from its sources; `backward` returns the gradient of
 * each source from the gradient of the row's blob and puts parameter gradients into the run.
 */
import type { LayerRow } from '../../lib/model/layer.js'
import { type Blob, maxAbs, type Shape } from './blob.js'

export type Parameters = Record<string, Float64Array>

export interface Run {
  parameters: Parameters
  /** Of parameters, by name. */
  gradients: Parameters
  labels: ArrayLike<number>
  training: boolean
  /** By dropout row: the factor of each element, 0 or 1 / (1 - ratio). */
  masks: Record<string, Float64Array>
  losses: Record<string, { loss: number; correct: number }>
  /**
   * The closest that a decision (sign at a ReLU, maximum of a window) came to going the other way, relative to the
   * largest value there. Comparing gradients in f32 makes sense only where this is well above f32's rounding.
   */
  margin: number
}

export interface Layer<Row extends LayerRow = LayerRow> {
  /** Shapes of parameters by suffix ('weight', 'bias'). */
  parameters?(row: Row, source: Shape): Record<string, number[]>
  forward(row: Row, sources: Blob[], run: Run): Blob
  backward(row: Row, sources: Blob[], result: Blob, gradient: Blob, run: Run): Blob[]
}

export function relu(result: Blob, run: Run): void {
  const { data } = result
  const scale = maxAbs(data)
  for (let i = 0; i < data.length; i++) {
    run.margin = Math.min(run.margin, Math.abs(data[i]!) / scale)
    data[i] = Math.max(0, data[i]!)
  }
}

/** The gradient before a fused ReLU: where the result is 0, none. */
export function reluBackward(result: Blob, gradient: Blob): Blob {
  return { shape: gradient.shape, data: gradient.data.map((g, i) => (result.data[i]! > 0 ? g : 0)) }
}
