/**
 * Local response normalisation in float64: y = x s^-beta, s = k + alpha / m * (sum of x^2 over the window), with m
 * the full window, `size` across channels and size^2 within one (Caffe divides the squares' sum by the whole window
 * there too: its average pooling counts the padding). Caffe fixes k at 1 within channels.
 */
import type { LrnRow } from '../../lib/model/layer.js'
import { type Blob, zeros } from './blob.js'
import type { Layer } from './layer.js'

/** sum over the window around each element; symmetric, so it is its own transpose. */
function windowSums(row: LrnRow, source: Blob, values: Float64Array): Float64Array {
  const [, c, h, w] = source.shape
  const reach = (row.size - 1) / 2
  const within = row.region === 'within'
  const [channels, space] = within ? [0, reach] : [reach, 0]
  const sums = new Float64Array(values.length)
  for (let index = 0; index < sums.length; index++) {
    const x = index % w
    const y = Math.floor(index / w) % h
    const channel = Math.floor(index / (w * h)) % c
    const image = Math.floor(index / (w * h * c))
    let sum = 0
    for (let k = Math.max(0, channel - channels); k <= Math.min(c - 1, channel + channels); k++) {
      for (let i = Math.max(0, y - space); i <= Math.min(h - 1, y + space); i++) {
        for (let j = Math.max(0, x - space); j <= Math.min(w - 1, x + space); j++) {
          sum += values[((image * c + k) * h + i) * w + j]!
        }
      }
    }
    sums[index] = sum
  }
  return sums
}

function factor(row: LrnRow): number {
  return row.alpha / (row.region === 'within' ? row.size * row.size : row.size)
}

function scales(row: LrnRow, source: Blob): Float64Array {
  const squares = source.data.map((x) => x * x)
  return windowSums(row, source, squares).map((sum) => (row.k ?? 1) + factor(row) * sum)
}

export const lrn: Layer<LrnRow> = {
  forward(row, [source]) {
    const result = zeros(source!.shape)
    const s = scales(row, source!)
    result.data.set(source!.data.map((x, i) => x * s[i]! ** -row.beta))
    return result
  },

  backward(row, [source], result, gradient) {
    const s = scales(row, source!)
    const ratios = gradient.data.map((g, i) => (g * result.data[i]!) / s[i]!)
    const sums = windowSums(row, source!, ratios)
    const dx = zeros(source!.shape)
    dx.data.set(
      source!.data.map((x, i) => gradient.data[i]! * s[i]! ** -row.beta - 2 * row.beta * factor(row) * x * sums[i]!),
    )
    return [dx]
  },
}
