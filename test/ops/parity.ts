/**
 * A case natively against the float64 reference: blobs, losses, and the gradients of
 * inputs and parameters; in a plan that reuses memory and in one that keeps all blobs.
 */
import { expect } from 'vitest'
import type { ReferenceResult } from '../reference/network.js'
import { rowsOf } from '../reference/network.js'
import type { Case } from './case.js'
import { relativeError } from './compare.js'
import { decidedProblem, type Problem, sinksOf, solve } from './problem.js'
import type { NativeProcess, NativeRunResult } from './process.js'

/**
 * f32 rounds to 6e-8. A sum of k products in any order is off by about sqrt(k) times that, 2e-6 for the longest here
 * (7x7 windows, 1,000 images' positions in a weight's gradient), and some layers on, by a few times more. A wrong
 * border, divisor or mask shows at 1e-2 and above.
 */
const exactTolerance = 1e-5
/** Winograd's transforms lose a few times more, most with windows of 5x5 (decision 0010). */
const defaultTolerance = 3e-5

interface Solved {
  problem: Problem
  training: ReferenceResult
  inference: ReferenceResult
}
const solved = new Map<string, Solved>()

export function solveCase(entry: Case): Solved {
  let result = solved.get(entry.name)
  if (!result) {
    const { problem, expected } = decidedProblem(entry)
    result = { problem, training: expected, inference: solve(problem, false) }
    solved.set(entry.name, result)
  }
  return result
}

const layersOf = (rows: Problem['rows'], training: boolean) =>
  rowsOf(rows, training).flatMap(({ op, name }) => (op === 'input' ? [] : [name]))

function expectBlobs(actual: NativeRunResult, expected: ReferenceResult, names: string[], tolerance: number): void {
  for (const name of names) {
    const { shape, data } = expected.blobs[name]!
    expect(actual.outputs[name]!.shape, name).toEqual(shape)
    expect(relativeError(actual.outputs[name]!.data, data), name).toBeLessThan(tolerance)
  }
}

function expectGradients(
  actual: NativeRunResult,
  expected: ReferenceResult,
  problem: Problem,
  tolerance: number,
): void {
  expect(Object.keys(actual.parameterGradients).sort()).toEqual(Object.keys(problem.parameters).sort())
  for (const [name, data] of Object.entries(expected.parameterGradients)) {
    expect(relativeError(actual.parameterGradients[name]!.data, data), `gradient of ${name}`).toBeLessThan(tolerance)
  }
  for (const name of problem.inputGradients) {
    const error = relativeError(actual.inputGradients[name]!.data, expected.blobGradients[name]!.data)
    expect(error, `gradient of ${name}`).toBeLessThan(tolerance)
  }
  for (const [name, { loss, correct }] of Object.entries(expected.losses)) {
    expect(Math.abs(actual.losses[name]!.loss - loss) / loss, name).toBeLessThan(tolerance)
    expect(actual.losses[name]!.correct, name).toBe(correct)
  }
}

/** `exact`: with direct convolutions only, and their smaller tolerance. */
export async function expectParity(native: NativeProcess, entry: Case, { exact = true } = {}): Promise<void> {
  const { problem, training, inference } = solveCase(entry)
  const tolerance = entry.tolerance ?? (exact ? exactTolerance : defaultTolerance)
  const { rows, parameters, inputs, labels, gradients, inputGradients } = problem
  const request = { rows, parameters, inputs, options: { exact }, ...(labels.length > 0 && { labels }) }
  const backward = { training: true, gradients, inputGradients }

  const ends = sinksOf(rows, false).map(({ name }) => name)
  expectBlobs(await native.run({ ...request, training: false, outputs: ends }), inference, ends, tolerance)
  const all = layersOf(rows, false)
  expectBlobs(await native.run({ ...request, training: false, outputs: all }), inference, all, tolerance)

  const trainingEnds = sinksOf(rows, true).map(({ name }) => name)
  const lean = await native.run({ ...request, ...backward, outputs: trainingEnds })
  expectBlobs(lean, training, trainingEnds, tolerance)
  expectGradients(lean, training, problem, tolerance)

  const trainingAll = layersOf(rows, true)
  const kept = await native.run({ ...request, ...backward, outputs: trainingAll, options: { exact, keepAll: true } })
  expectBlobs(kept, training, trainingAll, tolerance)
  expectGradients(kept, training, problem, tolerance)
}
