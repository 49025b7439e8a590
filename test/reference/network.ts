/**
 * Runs a table of layer rows in float64, in any topology: all blobs, losses, and the gradients of inputs and
 * parameters. The judge of the native engine; itself judged by finite differences and Caffe's own outputs.
 */
import type { ConcatRow, InputRow, LayerRow } from '../../lib/model/layer.js'
import { type Blob, blob, type Shape, zeros } from './blob.js'
import { conv } from './conv.js'
import { dropout, linear, loss, softmax } from './dense.js'
import type { Layer, Parameters, Run } from './layer.js'
import { lrn } from './lrn.js'
import { pool } from './pool.js'

const input: Layer<InputRow> = {
  forward: () => {
    throw new Error('inputs are given')
  },
  backward: () => [],
}

const concat: Layer<ConcatRow> = {
  forward(_row, sources) {
    const [n, , h, w] = sources[0]!.shape
    const result = zeros([n, sources.reduce((sum, source) => sum + source.shape[1], 0), h, w])
    eachPart(sources, result, (part, whole) => whole.set(part))
    return result
  },
  backward(_row, sources, _result, gradient) {
    const parts = sources.map((source) => zeros(source.shape))
    eachPart(parts, gradient, (part, whole) => part.set(whole))
    return parts
  },
}

function eachPart(parts: Blob[], whole: Blob, visit: (part: Float64Array, whole: Float64Array) => void): void {
  const [n, c, h, w] = whole.shape
  let channel = 0
  for (const part of parts) {
    const size = part.shape[1] * h * w
    for (let image = 0; image < n; image++) {
      const start = (image * c + channel) * h * w
      visit(part.data.subarray(image * size, (image + 1) * size), whole.data.subarray(start, start + size))
    }
    channel += part.shape[1]
  }
}

const layers: { [Op in LayerRow['op']]: Layer<Extract<LayerRow, { op: Op }>> } = {
  input,
  conv,
  pool,
  lrn,
  concat,
  dropout,
  linear,
  softmax,
  loss,
}
const layerOf = (row: LayerRow) => layers[row.op] as Layer

export interface Values {
  shape: readonly number[]
  data: ArrayLike<number>
}
export interface ReferenceOptions {
  training: boolean
  /** Gradients of blobs from which the backward pass starts, besides the losses. */
  gradients?: Record<string, Values>
  masks?: Record<string, Float64Array>
  /**
   * Blobs that a device has computed. Each layer is then computed from those before it, so that errors do not add up,
   * and the backward pass decides as the device did: at a ReLU and in a window that rounding has changed, neither
   * decision is wrong.
   */
  computed?: Record<string, Values>
}
export interface ReferenceResult {
  blobs: Record<string, Blob>
  losses: Run['losses']
  /** Sum of loss times weight. */
  loss: number
  /** While training, of every blob that has one: inputs among them. */
  blobGradients: Record<string, Blob>
  parameterGradients: Parameters
  /** See Run.margin. */
  margin: number
}

export function sourcesOf(row: LayerRow): readonly string[] {
  if (row.op === 'input') return []
  return row.op === 'concat' ? row.src : [row.src]
}

export function rowsOf(rows: readonly LayerRow[], training: boolean): LayerRow[] {
  return rows.filter((row) => row.phase !== (training ? 'inference' : 'train'))
}

export function runReference(
  rows: readonly LayerRow[],
  parameters: Record<string, ArrayLike<number>>,
  inputs: Record<string, Values>,
  labels: ArrayLike<number>,
  { training, gradients = {}, masks = {}, computed = {} }: ReferenceOptions,
): ReferenceResult {
  const active = rowsOf(rows, training)
  const run: Run = {
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, p]) => [name, Float64Array.from(p)])),
    gradients: {},
    labels,
    training,
    masks,
    losses: {},
    margin: Infinity,
  }
  const blobs: Record<string, Blob> = {}
  const given: Record<string, Blob> = {}
  for (const row of active) {
    const { name } = row
    blobs[name] =
      row.op === 'input'
        ? blob(inputs[name]!.shape, inputs[name]!.data)
        : layerOf(row).forward(
            row,
            sourcesOf(row).map((source) => given[source]!),
            run,
          )
    given[name] = computed[name] ? blob(computed[name].shape, computed[name].data) : blobs[name]
  }
  const blobGradients: Record<string, Blob> = {}
  if (training) {
    for (const [name, values] of Object.entries(gradients)) blobGradients[name] = blob(values.shape, values.data)
    backward(active, given, blobGradients, run)
  }
  let total = 0
  for (const row of active) if (row.op === 'loss') total += row.weight * run.losses[row.name]!.loss
  return {
    blobs,
    losses: run.losses,
    loss: total,
    blobGradients,
    parameterGradients: run.gradients,
    margin: run.margin,
  }
}

function backward(rows: LayerRow[], blobs: Record<string, Blob>, gradients: Record<string, Blob>, run: Run): void {
  for (const row of [...rows].reverse()) {
    const result = blobs[row.name]!
    const gradient = row.op === 'loss' ? zeros(result.shape) : gradients[row.name]
    if (!gradient) continue
    const names = sourcesOf(row)
    const parts = layerOf(row).backward(
      row,
      names.map((name) => blobs[name]!),
      result,
      gradient,
      run,
    )
    names.forEach((name, k) => {
      gradients[name] ??= zeros(blobs[name]!.shape)
      const sum = gradients[name].data
      parts[k]!.data.forEach((g, i) => {
        sum[i]! += g
      })
    })
  }
}

export interface Described {
  /** Of each blob, for the given batch. */
  shapes: Record<string, Shape>
  /** Shapes by parameter name. */
  parameters: Record<string, number[]>
}

/** Shapes of blobs and parameters, from one forward pass over zeros. */
export function describeRows(rows: readonly LayerRow[], batch: number): Described {
  const run: Run = { parameters: {}, gradients: {}, labels: [], training: false, masks: {}, losses: {}, margin: 0 }
  const blobs: Record<string, Blob> = {}
  const parameters: Record<string, number[]> = {}
  run.labels = new Array<number>(batch).fill(0)
  for (const row of rows) {
    const sources = sourcesOf(row).map((name) => blobs[name]!)
    const own = row.op === 'input' ? {} : (layerOf(row).parameters?.(row, sources[0]!.shape) ?? {})
    for (const [suffix, shape] of Object.entries(own)) {
      parameters[`${row.name}.${suffix}`] = shape
      run.parameters[`${row.name}.${suffix}`] = new Float64Array(shape.reduce((a, b) => a * b, 1))
    }
    blobs[row.name] =
      row.op === 'input' ? zeros([batch, row.channels, row.height, row.width]) : layerOf(row).forward(row, sources, run)
  }
  const shapes = Object.fromEntries(Object.entries(blobs).map(([name, value]) => [name, value.shape]))
  return { shapes, parameters }
}
