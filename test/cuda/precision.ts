/** Tolerances of tf32 and bf16, and how a device that computes in them is judged. */
import { expect } from 'vitest'
import type { Precision } from '../../lib/native.js'
import { relativeError } from '../ops/compare.js'
import { type Problem, sinksOf } from '../ops/problem.js'
import type { NativeProcess } from '../ops/process.js'
import { rowsOf, runReference } from '../reference/network.js'

/**
 * Relative to the largest value of a tensor. One rounding is off by up to 2^-11 = 5e-4 in tf32 and 2^-9 = 2e-3 in bf16. A
 * layer rounds its sources, weights and result; a gradient in a network has passed many layers, and where many images'
 * positions cancel, what they have lost remains. What is wrong shows at 1e-1.
 */
export const TOLERANCE: Record<Exclude<Precision, 'f32'>, { layer: number; network: number }> = {
  tf32: { layer: 1e-3, network: 5e-3 },
  bf16: { layer: 8e-3, network: 5e-2 },
}

export async function expectPrecision(
  native: NativeProcess,
  problem: Problem,
  precision: keyof typeof TOLERANCE,
): Promise<void> {
  const { layer, network } = TOLERANCE[precision]
  const { rows, inputs, labels, gradients } = problem
  const gradient = rows.length > 2 ? network : layer
  const parameters = Object.fromEntries(Object.entries(problem.parameters).map(([name, { data }]) => [name, data]))
  const request = { rows, parameters: problem.parameters, inputs, ...(labels.length > 0 && { labels }) }
  const names = (training: boolean) => rowsOf(rows, training).map(({ name }) => name)

  const inference = await native.run({ ...request, training: false, outputs: names(false) })
  const { blobs } = runReference(rows, parameters, inputs, labels, { training: false, computed: inference.outputs })
  for (const name of names(false))
    expect(relativeError(inference.outputs[name]!.data, blobs[name]!.data), name).toBeLessThan(layer)

  const backward = { training: true, gradients, inputGradients: problem.inputGradients }
  const kept = await native.run({ ...request, ...backward, outputs: names(true), options: { keepAll: true } })
  const expected = runReference(rows, parameters, inputs, labels, {
    training: true,
    gradients,
    computed: kept.outputs,
  })
  for (const name of names(true))
    expect(relativeError(kept.outputs[name]!.data, expected.blobs[name]!.data), name).toBeLessThan(layer)
  for (const [name, data] of Object.entries(expected.parameterGradients))
    expect(relativeError(kept.parameterGradients[name]!.data, data), `gradient of ${name}`).toBeLessThan(gradient)
  for (const name of problem.inputGradients) {
    const error = relativeError(kept.inputGradients[name]!.data, expected.blobGradients[name]!.data)
    expect(error, `gradient of ${name}`).toBeLessThan(gradient)
  }
  for (const [name, { loss, correct }] of Object.entries(expected.losses)) {
    expect(Math.abs(kept.losses[name]!.loss - loss) / loss, name).toBeLessThan(1e-5)
    expect(kept.losses[name]!.correct, name).toBe(correct)
  }

  // A plan that reuses memory gives the same bits.
  const lean = await native.run({ ...request, ...backward, outputs: sinksOf(rows, true).map(({ name }) => name) })
  expect(lean.parameterGradients).toEqual(kept.parameterGradients)
  expect(lean.inputGradients).toEqual(kept.inputGradients)
  for (const [name, tensor] of Object.entries(lean.outputs)) expect(tensor, name).toEqual(kept.outputs[name])
}
