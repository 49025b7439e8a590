/** Makes numbers for a case: parameters, inputs, labels, and gradients to start from at each blob nobody reads. */
import type { LayerRow } from '../../lib/model/layer.js'
import {
  describeRows,
  type ReferenceResult,
  rowsOf,
  runReference,
  sourcesOf,
  type Values,
} from '../reference/network.js'
import { Random, seedOf } from '../reference/random.js'
import type { Case } from './case.js'

export interface Tensor extends Values {
  data: Float32Array
}
export interface Problem {
  rows: LayerRow[]
  batch: number
  parameters: Record<string, Tensor>
  inputs: Record<string, Tensor>
  labels: Int32Array
  gradients: Record<string, Tensor>
  /** Inputs that a gradient reaches: not planar ones. */
  inputGradients: string[]
}

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

/** Blobs that nobody reads in training. */
export function sinksOf(rows: readonly LayerRow[], training: boolean): LayerRow[] {
  const active = rowsOf(rows, training)
  const read = new Set(active.flatMap(sourcesOf))
  return active.filter((row) => !read.has(row.name))
}

export function makeProblem({ name, rows, batch, ties }: Case, attempt = 0): Problem {
  const random = new Random(seedOf(name) + attempt)
  const { shapes, parameters } = describeRows(rows, batch)
  const losses = rows.filter((row) => row.op === 'loss')
  const classes = Math.min(...losses.map((row) => shapes[row.name]![1]))
  const tensor = (shape: readonly number[], deviation = 1): Tensor => ({
    shape,
    data: random.normals(count(shape), deviation),
  })
  return {
    rows,
    batch,
    parameters: Object.fromEntries(
      // He et al. 2015: activations keep their size through the ReLUs of a deep case.
      Object.entries(parameters).map(([key, shape]) => [
        key,
        tensor(shape, shape.length > 1 ? Math.sqrt(2 / count(shape.slice(1))) : 0.2),
      ]),
    ),
    inputs: Object.fromEntries(
      rows
        .filter((row) => row.op === 'input')
        .map(({ name: key }) => {
          const { shape, data } = tensor(shapes[key]!)
          return [key, { shape, data: ties ? data.map(Math.round) : data }]
        }),
    ),
    labels: Int32Array.from({ length: losses.length > 0 ? batch : 0 }, () => random.integer(classes)),
    gradients: Object.fromEntries(
      sinksOf(rows, true)
        .filter((row) => row.op !== 'loss')
        .map((row) => [row.name, tensor(shapes[row.name]!)]),
    ),
    inputGradients: rows.filter((row) => row.op === 'input' && !row.planar).map((row) => row.name),
  }
}

export function solve(problem: Problem, training: boolean, masks?: Record<string, Float64Array>): ReferenceResult {
  const parameters = Object.fromEntries(Object.entries(problem.parameters).map(([name, { data }]) => [name, data]))
  return runReference(problem.rows, parameters, problem.inputs, problem.labels, {
    training,
    ...(training && { gradients: problem.gradients, masks: masks ?? {} }),
  })
}

/**
 * The first of some seeds at which no ReLU and no maximum is so close to a tie that f32 could decide otherwise than
 * f64: one such decision changes a gradient by much more than rounding does, and neither answer would be wrong.
 */
export function decidedProblem(test: Case, margin = 3e-6): { problem: Problem; expected: ReferenceResult } {
  for (let attempt = 0; attempt < 50; attempt++) {
    const problem = makeProblem(test, attempt)
    const expected = solve(problem, true)
    if (expected.margin >= margin) return { problem, expected }
  }
  throw new Error(`${test.name}: no seed keeps every decision ${margin} away from a tie`)
}
