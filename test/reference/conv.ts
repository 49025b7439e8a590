/** Convolution in float64, as in Caffe: groups, dilation, rectangular kernels, zero padding, fused ReLU. */
import type { ConvRow } from '../../lib/model/layer.js'
import { pair, type Shape, zeros } from './blob.js'
import { type Layer, relu, reluBackward } from './layer.js'

/** One weight and the run of outputs in one row that it contributes to. */
interface Tap {
  weight: number
  output: number
  count: number
  src: number
  dst: number
  /** Distance in src of neighbours in dst. */
  step: number
}

function resultShape(row: ConvRow, [n, , h, w]: Shape): Shape {
  const [kh, kw] = pair(row.kernel, 1)
  const [sh, sw] = pair(row.stride, 1)
  const [ph, pw] = pair(row.pad, 0)
  const [dh, dw] = pair(row.dilation, 1)
  const oh = Math.floor((h + 2 * ph - (dh * (kh - 1) + 1)) / sh) + 1
  const ow = Math.floor((w + 2 * pw - (dw * (kw - 1) + 1)) / sw) + 1
  return [n, row.outputs, oh, ow]
}

/** The one loop nest of all three directions: what differs is which two of src, weight and dst make the third. */
function forEachTap(row: ConvRow, src: Shape, dst: Shape, visit: (tap: Tap) => void): void {
  const [n, c, h, w] = src
  const [, o, oh, ow] = dst
  const [kh, kw] = pair(row.kernel, 1)
  const [sh, sw] = pair(row.stride, 1)
  const [ph, pw] = pair(row.pad, 0)
  const [dh, dw] = pair(row.dilation, 1)
  const groups = row.groups ?? 1
  const inputs = c / groups
  const outputs = o / groups
  for (let image = 0; image < n; image++) {
    for (let output = 0; output < o; output++) {
      const group = Math.floor(output / outputs)
      for (let input = 0; input < inputs; input++) {
        const plane = (image * c + group * inputs + input) * h * w
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const weight = ((output * inputs + input) * kh + ky) * kw + kx
            const shift = kx * dw - pw
            const first = Math.max(0, Math.ceil(-shift / sw))
            const last = Math.min(ow - 1, Math.floor((w - 1 - shift) / sw))
            for (let y = 0; y < oh; y++) {
              const line = y * sh - ph + ky * dh
              if (line < 0 || line >= h) continue
              visit({
                weight,
                output,
                count: last - first + 1,
                src: plane + line * w + first * sw + shift,
                dst: ((image * o + output) * oh + y) * ow + first,
                step: sw,
              })
            }
          }
        }
      }
    }
  }
}

export const conv: Layer<ConvRow> = {
  parameters(row, [, c]) {
    const [kh, kw] = pair(row.kernel, 1)
    const weight = [row.outputs, c / (row.groups ?? 1), kh, kw]
    return { weight, ...(row.bias !== false && { bias: [row.outputs] }) }
  },

  forward(row, [source], run) {
    const x = source!.data
    const w = run.parameters[`${row.name}.weight`]!
    const bias = row.bias === false ? undefined : run.parameters[`${row.name}.bias`]!
    const result = zeros(resultShape(row, source!.shape))
    const y = result.data
    forEachTap(row, source!.shape, result.shape, ({ weight, count, src, dst, step }) => {
      for (let i = 0; i < count; i++) y[dst + i]! += w[weight]! * x[src + i * step]!
    })
    const area = result.shape[2] * result.shape[3]
    if (bias) for (let i = 0; i < y.length; i++) y[i]! += bias[Math.floor(i / area) % row.outputs]!
    if (row.relu) relu(result, run)
    return result
  },

  backward(row, [source], result, gradient, run) {
    const g = row.relu ? reluBackward(result, gradient).data : gradient.data
    const x = source!.data
    const w = run.parameters[`${row.name}.weight`]!
    const dw = new Float64Array(w.length)
    const dx = zeros(source!.shape)
    forEachTap(row, source!.shape, result.shape, ({ weight, count, src, dst, step }) => {
      for (let i = 0; i < count; i++) {
        dw[weight]! += g[dst + i]! * x[src + i * step]!
        dx.data[src + i * step]! += g[dst + i]! * w[weight]!
      }
    })
    run.gradients[`${row.name}.weight`] = dw
    if (row.bias !== false) {
      const db = new Float64Array(row.outputs)
      const area = result.shape[2] * result.shape[3]
      for (let i = 0; i < g.length; i++) db[Math.floor(i / area) % row.outputs]! += g[i]!
      run.gradients[`${row.name}.bias`] = db
    }
    return [dx]
  },
}
