/** Fully connected layers, softmax over channels, Caffe's SoftmaxWithLoss, and dropout, in float64. */
import type { DropoutRow, LinearRow, LossRow, SoftmaxRow } from '../../lib/model/layer.js'
import { type Blob, zeros } from './blob.js'
import { type Layer, type Run, relu, reluBackward } from './layer.js'

export const linear: Layer<LinearRow> = {
  parameters(row, [, c, h, w]) {
    const weight = [row.outputs, c * h * w]
    return { weight, ...(row.bias !== false && { bias: [row.outputs] }) }
  },

  forward(row, [source], run) {
    const n = source!.shape[0]
    const inputs = source!.data.length / n
    const weights = run.parameters[`${row.name}.weight`]!
    const bias = row.bias === false ? undefined : run.parameters[`${row.name}.bias`]!
    const result = zeros([n, row.outputs, 1, 1])
    for (let image = 0; image < n; image++) {
      for (let o = 0; o < row.outputs; o++) {
        let sum = bias?.[o] ?? 0
        for (let i = 0; i < inputs; i++) sum += weights[o * inputs + i]! * source!.data[image * inputs + i]!
        result.data[image * row.outputs + o] = sum
      }
    }
    if (row.relu) relu(result, run)
    return result
  },

  backward(row, [source], result, gradient, run) {
    const n = source!.shape[0]
    const inputs = source!.data.length / n
    const weights = run.parameters[`${row.name}.weight`]!
    const g = row.relu ? reluBackward(result, gradient).data : gradient.data
    const dw = new Float64Array(weights.length)
    const db = new Float64Array(row.outputs)
    const dx = zeros(source!.shape)
    for (let image = 0; image < n; image++) {
      for (let o = 0; o < row.outputs; o++) {
        const value = g[image * row.outputs + o]!
        db[o]! += value
        for (let i = 0; i < inputs; i++) {
          dw[o * inputs + i]! += value * source!.data[image * inputs + i]!
          dx.data[image * inputs + i]! += value * weights[o * inputs + i]!
        }
      }
    }
    run.gradients[`${row.name}.weight`] = dw
    if (row.bias !== false) run.gradients[`${row.name}.bias`] = db
    return [dx]
  },
}

function probabilities(source: Blob): Blob {
  const [n, c, h, w] = source.shape
  const result = zeros(source.shape)
  for (let image = 0; image < n; image++) {
    for (let position = 0; position < h * w; position++) {
      const at = (channel: number) => (image * c + channel) * h * w + position
      let largest = -Infinity
      for (let k = 0; k < c; k++) largest = Math.max(largest, source.data[at(k)]!)
      let sum = 0
      for (let k = 0; k < c; k++) sum += Math.exp(source.data[at(k)]! - largest)
      for (let k = 0; k < c; k++) result.data[at(k)] = Math.exp(source.data[at(k)]! - largest) / sum
    }
  }
  return result
}

export const softmax: Layer<SoftmaxRow> = {
  forward: (_row, [source]) => probabilities(source!),

  backward(_row, [source], result, gradient) {
    const [n, c, h, w] = source!.shape
    const dx = zeros(source!.shape)
    for (let image = 0; image < n; image++) {
      for (let position = 0; position < h * w; position++) {
        const at = (channel: number) => (image * c + channel) * h * w + position
        let dot = 0
        for (let k = 0; k < c; k++) dot += gradient.data[at(k)]! * result.data[at(k)]!
        for (let k = 0; k < c; k++) dx.data[at(k)] = result.data[at(k)]! * (gradient.data[at(k)]! - dot)
      }
    }
    return [dx]
  },
}

/** The loss is the mean over the batch, unweighted; the gradient carries the weight. Sources are (N, C). */
export const loss: Layer<LossRow> = {
  forward(row, [source], run) {
    const result = probabilities(source!)
    const [n, c] = source!.shape
    let sum = 0
    let correct = 0
    for (let image = 0; image < n; image++) {
      const p = result.data.subarray(image * c, (image + 1) * c)
      sum -= Math.log(p[labelOf(run, image)]!)
      if (p.indexOf(Math.max(...p)) === labelOf(run, image)) correct++
    }
    run.losses[row.name] = { loss: sum / n, correct }
    return result
  },

  backward(row, [source], result, _gradient, run) {
    const [n, c] = source!.shape
    const dx = zeros(source!.shape)
    dx.data.set(
      result.data.map((p, i) => {
        const label = labelOf(run, Math.floor(i / c))
        return (row.weight * (p - (i % c === label ? 1 : 0))) / n
      }),
    )
    return [dx]
  },
}

function labelOf(run: Run, image: number): number {
  const label = run.labels[image]
  if (label === undefined) throw new Error(`no label for image ${image}`)
  return label
}

/** The mask comes with the run, since random numbers are no part of what is compared. */
export const dropout: Layer<DropoutRow> = {
  forward(row, [source], run) {
    const factors = factorsOf(row, run)
    return { shape: source!.shape, data: source!.data.map((x, i) => x * (factors?.[i] ?? 1)) }
  },
  backward(row, [source], _result, gradient, run) {
    const factors = factorsOf(row, run)
    return [{ shape: source!.shape, data: gradient.data.map((g, i) => g * (factors?.[i] ?? 1)) }]
  },
}

function factorsOf(row: DropoutRow, run: Run): Float64Array | undefined {
  if (!run.training || row.ratio === 0) return undefined
  const factors = run.masks[row.name]
  if (!factors) throw new Error(`${row.name}: training with dropout needs a mask`)
  return factors
}
