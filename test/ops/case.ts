/** What a case of the table is. The tensors follow from the name: see problem.ts. */
import type { InputRow, LayerRow } from '../../lib/model/layer.js'

export interface Case {
  name: string
  rows: LayerRow[]
  batch: number
  /** Largest allowed error, relative to the largest absolute value of the tensor. Default: see parity.test.ts. */
  tolerance?: number
  /** Inputs are small whole numbers, so that windows hold equal maxima. No derivative exists there. */
  ties?: boolean
}

export function input(name: string, channels: number, height: number, width = height, planar = false): InputRow {
  return { op: 'input', name, channels, height, width, planar }
}
