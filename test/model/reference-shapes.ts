/**
 * Shapes, parameters and multiply-accumulates of a network table, computed once more and independently of
 * native/core/graph.cc, from Caffe's definitions (conv_layer.cpp, pooling_layer.cpp, inner_product_layer.cpp).
 */
import type { LayerRow, Pair } from '../../lib/model/layer.js'

type Shape = [number, number, number]
export interface Row {
  name: string
  shape: Shape
  parameters: number
  macs: number
}

export function referenceShapes(rows: readonly LayerRow[]): Row[] {
  const shapes = new Map<string, Shape>()
  const of = (name: string) => {
    const shape = shapes.get(name)
    if (!shape) throw new Error(`${name} is used before it is defined`)
    return shape
  }
  return rows.map((row) => {
    const [shape, parameters, macs] = measure(row, of)
    if (shapes.has(row.name)) throw new Error(`${row.name} is defined twice`)
    shapes.set(row.name, shape)
    return { name: row.name, shape, parameters, macs }
  })
}

function measure(row: LayerRow, of: (name: string) => Shape): [Shape, number, number] {
  switch (row.op) {
    case 'input':
      return [[row.channels, row.height, row.width], 0, 0]
    case 'conv': {
      const [c, h, w] = of(row.src)
      const [kernel, stride, pad] = [pair(row.kernel), pair(row.stride ?? 1), pair(row.pad ?? 0)]
      const out = [h, w].map((size, i) => Math.floor((size + 2 * pad[i]! - kernel[i]!) / stride[i]!) + 1)
      const weights = row.outputs * (c / (row.groups ?? 1)) * kernel[0] * kernel[1]
      const bias = row.bias === false ? 0 : row.outputs
      return [[row.outputs, out[0]!, out[1]!], weights + bias, weights * out[0]! * out[1]!]
    }
    case 'pool': {
      const [c, h, w] = of(row.src)
      if (row.kernel === 'global') return [[c, 1, 1], 0, 0]
      const [kernel, stride, pad] = [pair(row.kernel), pair(row.stride ?? 1), pair(row.pad ?? 0)]
      const out = [h, w].map((size, i) => {
        const count = Math.ceil((size + 2 * pad[i]! - kernel[i]!) / stride[i]!) + 1
        return pad[i]! > 0 && (count - 1) * stride[i]! >= size + pad[i]! ? count - 1 : count
      })
      return [[c, out[0]!, out[1]!], 0, 0]
    }
    case 'concat': {
      const sources = row.src.map(of)
      const [, h, w] = sources[0]!
      return [[sources.reduce((sum, [c]) => sum + c, 0), h, w], 0, 0]
    }
    case 'linear': {
      const [c, h, w] = of(row.src)
      const weights = row.outputs * c * h * w
      return [[row.outputs, 1, 1], weights + (row.bias === false ? 0 : row.outputs), weights]
    }
    default:
      return [of(row.src), 0, 0]
  }
}

function pair(value: Pair): readonly [number, number] {
  return typeof value === 'number' ? [value, value] : value
}
