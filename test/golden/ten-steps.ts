/** Ten steps of SGD on a fixed problem: the problem, the recorded figures, and a native run held against them. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { NativeTensor } from '../../lib/native.js'
import { cases } from '../ops/cases.js'
import { makeProblem } from '../ops/problem.js'
import { type IsaName, NativeProcess, type Place } from '../ops/process.js'

export interface TenSteps {
  loss: number[]
  gradientNorm: number[]
  correct: number[]
}

export const path = fileURLToPath(new URL('steps.json', import.meta.url))
export const problem = makeProblem(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!)
// Clipping takes part in the first steps and not in the last.
export const update = { rate: 0.01, momentum: 0.9, weightDecay: 0.01, clip: 2 }
export const steps = 10

export const recorded = (): TenSteps => JSON.parse(existsSync(path) ? readFileSync(path, 'utf8') : '{}')

export function expectClose(actual: number[], expected: number[], tolerance: number, what: string): void {
  expect(actual).toHaveLength(steps)
  actual.forEach((value, step) => {
    expect(Math.abs(value - expected[step]!) / expected[step]!, `${what} of step ${step}`).toBeLessThan(tolerance)
  })
}

export async function expectTenSteps(place: IsaName | Place): Promise<void> {
  const figures = recorded()
  const input: NativeTensor = problem.inputs.data!
  await using native = new NativeProcess(place)
  const { results } = await native.train({
    rows: problem.rows,
    parameters: problem.parameters,
    batches: [{ input, labels: problem.labels }],
    update,
    steps,
  })
  // f32 rounding, carried along by ten steps: the same on every machine to about 1e-6.
  expectClose(
    results.map(({ loss }) => loss),
    figures.loss,
    1e-4,
    'loss',
  )
  expectClose(
    results.map(({ gradientNorm }) => gradientNorm),
    figures.gradientNorm,
    1e-3,
    'gradient norm',
  )
  expect(results.map(({ losses }) => losses['loss3']!.correct)).toEqual(figures.correct)
}
