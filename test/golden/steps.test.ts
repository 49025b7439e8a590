/**
 * Ten steps of SGD on a fixed problem against recorded figures: losses, gradient norms, the last weights. They were
 * recorded from the float64 reference, never from native code: `node test/golden/record.mjs` makes them again.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { NativeTensor } from '../../lib/native.js'
import { cases } from '../ops/cases.js'
import { makeProblem } from '../ops/problem.js'
import { nativeAbsent, NativeProcess, nativeSkipReason } from '../ops/process.js'
import { runReference } from '../reference/network.js'
import { Sgd } from '../reference/sgd.js'

interface Record {
  loss: number[]
  gradientNorm: number[]
  correct: number[]
}

const path = fileURLToPath(new URL('steps.json', import.meta.url))
const problem = makeProblem(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!)
// Clipping takes part in the first steps and not in the last.
const update = { rate: 0.01, momentum: 0.9, weightDecay: 0.01, clip: 2 }
const steps = 10

function reference(): Record {
  const parameters = Object.fromEntries(
    Object.entries(problem.parameters).map(([name, { data }]) => [name, Float64Array.from(data)]),
  )
  const sgd = new Sgd(update)
  const record: Record = { loss: [], gradientNorm: [], correct: [] }
  for (let step = 0; step < steps; step++) {
    const result = runReference(problem.rows, parameters, problem.inputs, problem.labels, { training: true })
    record.loss.push(result.loss)
    record.correct.push(result.losses['loss3']!.correct)
    record.gradientNorm.push(sgd.step(parameters, result.parameterGradients))
  }
  return record
}

function expectClose(actual: number[], expected: number[], tolerance: number, what: string): void {
  expect(actual).toHaveLength(steps)
  actual.forEach((value, step) => {
    expect(Math.abs(value - expected[step]!) / expected[step]!, `${what} of step ${step}`).toBeLessThan(tolerance)
  })
}

if (process.env.GOOGLENET_RECORD) writeFileSync(path, `${JSON.stringify(reference(), null, 2)}\n`)

describe('ten recorded steps', () => {
  const recorded = JSON.parse(existsSync(path) ? readFileSync(path, 'utf8') : '{}') as Record

  test('the record is of a run that learns, clipped at first', () => {
    expect(recorded.loss.at(-1)).toBeLessThan(0.7 * recorded.loss[0]!)
    expect(recorded.gradientNorm[0]).toBeGreaterThan(update.clip)
    expect(Math.min(...recorded.gradientNorm)).toBeLessThan(update.clip)
  })

  test('reference', () => {
    const { loss, gradientNorm, correct } = reference()
    expectClose(loss, recorded.loss, 1e-9, 'loss')
    expectClose(gradientNorm, recorded.gradientNorm, 1e-9, 'gradient norm')
    expect(correct).toEqual(recorded.correct)
  })

  test.skipIf(nativeAbsent).each(['best', 'avx2', 'portable'] as const)(
    `native, %s${nativeSkipReason}`,
    async (isa) => {
      const input: NativeTensor = problem.inputs.data!
      await using native = new NativeProcess(isa)
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
        recorded.loss,
        1e-4,
        'loss',
      )
      expectClose(
        results.map(({ gradientNorm }) => gradientNorm),
        recorded.gradientNorm,
        1e-3,
        'gradient norm',
      )
      expect(results.map(({ losses }) => losses['loss3']!.correct)).toEqual(recorded.correct)
    },
  )
})
