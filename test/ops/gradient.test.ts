/**
 * The reference against central finite differences of itself, in float64, for every case of the table: forward and
 * backward of each layer are written apart, so an error in either shows.
 */
import { describe, expect, test } from 'vitest'
import { directionalDerivative, directions, dot } from '../reference/differences.js'
import { type ReferenceOptions, runReference } from '../reference/network.js'
import { Random } from '../reference/random.js'
import { cases } from './cases.js'
import { decidedProblem, type Problem } from './problem.js'

interface Comparison {
  tensor: string
  analytic: number
  numeric: number
  /** Length of the whole gradient: what one unit-length direction can see at most. */
  scale: number
}

/** The objective is the weighted losses plus the given gradients' dot products with their blobs. */
function compare(problem: Problem, masks: Record<string, Float64Array> = {}): Comparison[] {
  const { rows, labels, gradients } = problem
  const float64 = (tensors: Problem['inputs']) =>
    Object.fromEntries(Object.entries(tensors).map(([key, { data }]) => [key, Float64Array.from(data)]))
  const parameters = float64(problem.parameters)
  const inputs = Object.fromEntries(
    Object.entries(problem.inputs).map(([key, { shape, data }]) => [key, { shape, data: Float64Array.from(data) }]),
  )
  const run = (options: Partial<ReferenceOptions> = {}) =>
    runReference(rows, parameters, inputs, labels, { training: true, masks, ...options })
  const objective = () => {
    const { loss, blobs } = run()
    return Object.entries(gradients).reduce((sum, [key, { data }]) => sum + dot(data, blobs[key]!.data), loss)
  }

  const exact = run({ gradients })
  const random = new Random(1)
  const tensors = [
    ...Object.entries(parameters).map(([key, data]) => [key, data, exact.parameterGradients[key]!] as const),
    ...Object.entries(inputs).map(([key, { data }]) => [key, data, exact.blobGradients[key]!.data] as const),
  ]
  // A dense direction sees every element; more of them, and single elements, where they cost little.
  const [dense, single] = tensors.length > 20 ? [1, 0] : [2, 2]
  return tensors.flatMap(([tensor, data, gradient]) =>
    directions(data.length, random, dense, single).map((direction) => ({
      tensor,
      analytic: dot(gradient, direction),
      numeric: directionalDerivative(objective, data, direction),
      scale: Math.sqrt(dot(gradient, gradient)),
    })),
  )
}

function expectAgreement(comparisons: Comparison[]): void {
  expect(comparisons.length).toBeGreaterThan(0)
  for (const { tensor, analytic, numeric, scale } of comparisons) {
    // Truncation and rounding together stay below 1e-7; a wrong term shows at 1e-2.
    expect(Math.abs(analytic - numeric) / scale, `${tensor}: ${analytic}, by differences ${numeric}`).toBeLessThan(1e-6)
  }
}

describe('gradients of the reference agree with finite differences', () => {
  test.each(cases.filter(({ ties }) => !ties))('$name', (entry) => {
    expectAgreement(compare(decidedProblem(entry).problem))
  })

  test('dropout with a mask', () => {
    const { problem } = decidedProblem({
      name: 'dropout with a mask',
      rows: [
        { op: 'input', name: 'x', channels: 6, height: 1, width: 1 },
        { op: 'dropout', name: 'y', src: 'x', ratio: 0 },
      ],
      batch: 2,
    })
    problem.rows[1] = { op: 'dropout', name: 'y', src: 'x', ratio: 0.5 }
    expectAgreement(compare(problem, { y: Float64Array.of(0, 2, 2, 0, 2, 0, 0, 0, 2, 2, 0, 2) }))
  })
})
