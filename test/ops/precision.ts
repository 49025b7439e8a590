/** How a device that computes in tf32 or bf16 is judged. */
import { expect } from 'vitest'
import type { Tolerances } from '../gpu/tolerances.js'
import { rowsOf, runReference } from '../reference/network.js'
import { relativeError } from './compare.js'
import { type Problem, sinksOf } from './problem.js'
import type { NativeProcess } from './process.js'

/**
 * Each layer is held against the float64 reference of what the device itself computed before it, and the gradients
 * against the reference that decides as the device did.
 */
export async function expectPrecision(
  native: NativeProcess,
  problem: Problem,
  { operation: layer, network }: Pick<Tolerances, 'operation' | 'network'>,
): Promise<void> {
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
