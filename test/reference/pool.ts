/**
 * Pooling in float64 as in Caffe (src/caffe/layers/pooling_layer.cpp): sizes are rounded up, a last window that
 * would start in the padding is dropped, the first of equal maxima wins, and an average divides by the window
 * clipped to the padded input (not to the input).
 */
import type { PoolRow } from '../../lib/model/layer.js'
import { pair, type Shape, zeros } from './blob.js'
import type { Layer } from './layer.js'

interface Geometry {
  kernel: readonly [number, number]
  stride: readonly [number, number]
  pad: readonly [number, number]
}
interface Window {
  /** Index in the result. */
  index: number
  /** Elements of the source in the window, in rows: [top, bottom) x [left, right) of one plane. */
  plane: number
  top: number
  bottom: number
  left: number
  right: number
  /** Area within the padded input. */
  area: number
}

function geometry(row: PoolRow, [, , h, w]: Shape): Geometry {
  if (row.kernel === 'global') return { kernel: [h, w], stride: [1, 1], pad: [0, 0] }
  return { kernel: pair(row.kernel, 1), stride: pair(row.stride, 1), pad: pair(row.pad, 0) }
}

function outputSize(size: number, kernel: number, stride: number, pad: number, round: 'ceil' | 'floor'): number {
  const output = Math[round]((size + 2 * pad - kernel) / stride) + 1
  return pad > 0 && (output - 1) * stride >= size + pad ? output - 1 : output
}

function resultShape(row: PoolRow, shape: Shape): Shape {
  const { kernel, stride, pad } = geometry(row, shape)
  const round = row.round ?? 'ceil'
  return [
    shape[0],
    shape[1],
    outputSize(shape[2], kernel[0], stride[0], pad[0], round),
    outputSize(shape[3], kernel[1], stride[1], pad[1], round),
  ]
}

function* windows(row: PoolRow, src: Shape, dst: Shape): Generator<Window> {
  const { kernel, stride, pad } = geometry(row, src)
  const [, , h, w] = src
  const [n, c, oh, ow] = dst
  let index = 0
  for (let plane = 0; plane < n * c; plane++) {
    for (let y = 0; y < oh; y++) {
      for (let x = 0; x < ow; x++, index++) {
        const top = y * stride[0] - pad[0]
        const left = x * stride[1] - pad[1]
        const bottom = Math.min(top + kernel[0], h + pad[0])
        const right = Math.min(left + kernel[1], w + pad[1])
        yield {
          index,
          plane: plane * h * w,
          top: Math.max(top, 0),
          bottom: Math.min(bottom, h),
          left: Math.max(left, 0),
          right: Math.min(right, w),
          area: (bottom - top) * (right - left),
        }
      }
    }
  }
}

/** Position of the first maximum, and how far the next smaller value lies below it. */
function maximum(x: Float64Array, width: number, window: Window): { position: number; gap: number } {
  let position = -1
  let second = -Infinity
  for (let row = window.top; row < window.bottom; row++) {
    for (let i = window.plane + row * width + window.left; i < window.plane + row * width + window.right; i++) {
      const best = position < 0 ? -Infinity : x[position]!
      if (x[i]! > best) {
        second = best
        position = i
      } else if (x[i]! < best) {
        second = Math.max(second, x[i]!)
      }
    }
  }
  return { position, gap: x[position]! - second }
}

export const pool: Layer<PoolRow> = {
  forward(row, [source], run) {
    const x = source!.data
    const width = source!.shape[3]
    const result = zeros(resultShape(row, source!.shape))
    let smallestGap = Infinity
    for (const window of windows(row, source!.shape, result.shape)) {
      if (row.kind === 'max') {
        const { position, gap } = maximum(x, width, window)
        smallestGap = Math.min(smallestGap, gap)
        result.data[window.index] = x[position]!
      } else {
        for (let line = window.top; line < window.bottom; line++) {
          const start = window.plane + line * width
          for (let i = start + window.left; i < start + window.right; i++) {
            result.data[window.index]! += x[i]! / window.area
          }
        }
      }
    }
    const scale = x.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    run.margin = Math.min(run.margin, smallestGap / scale)
    return result
  },

  backward(row, [source], result, gradient) {
    const dx = zeros(source!.shape)
    const width = source!.shape[3]
    for (const window of windows(row, source!.shape, result.shape)) {
      const g = gradient.data[window.index]!
      if (row.kind === 'max') {
        dx.data[maximum(source!.data, width, window).position]! += g
      } else {
        for (let line = window.top; line < window.bottom; line++) {
          const start = window.plane + line * width
          for (let i = start + window.left; i < start + window.right; i++) dx.data[i]! += g / window.area
        }
      }
    }
    return [dx]
  },
}
