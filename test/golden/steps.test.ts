/**
 * Ten steps of SGD on a fixed problem against recorded figures: losses, gradient norms, the last weights. They were
 * recorded from the float64 reference, never from native code: `node test/golden/record.mjs` makes them again.
 */
import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { runReference } from '../reference/network.js'
import { Sgd } from '../reference/sgd.js'
import { expectClose, expectTenSteps, path, problem, recorded, steps, type TenSteps, update } from './ten-steps.js'

function reference(): TenSteps {
  const parameters = Object.fromEntries(
    Object.entries(problem.parameters).map(([name, { data }]) => [name, Float64Array.from(data)]),
  )
  const sgd = new Sgd(update)
  const record: TenSteps = { loss: [], gradientNorm: [], correct: [] }
  for (let step = 0; step < steps; step++) {
    const result = runReference(problem.rows, parameters, problem.inputs, problem.labels, { training: true })
    record.loss.push(result.loss)
    record.correct.push(result.losses['loss3']!.correct)
    record.gradientNorm.push(sgd.step(parameters, result.parameterGradients))
  }
  return record
}

if (process.env.GOOGLENET_RECORD) writeFileSync(path, `${JSON.stringify(reference(), null, 2)}\n`)

describe('ten recorded steps', () => {
  const figures = recorded()

  test('the record is of a run that learns, clipped at first', () => {
    expect(figures.loss.at(-1)).toBeLessThan(0.7 * figures.loss[0]!)
    expect(figures.gradientNorm[0]).toBeGreaterThan(update.clip)
    expect(Math.min(...figures.gradientNorm)).toBeLessThan(update.clip)
  })

  test('reference', () => {
    const { loss, gradientNorm, correct } = reference()
    expectClose(loss, figures.loss, 1e-9, 'loss')
    expectClose(gradientNorm, figures.gradientNorm, 1e-9, 'gradient norm')
    expect(correct).toEqual(figures.correct)
  })

  test.skipIf(nativeAbsent).each(['best', 'avx2', 'portable'] as const)(
    `native, %s${nativeSkipReason}`,
    (isa) => expectTenSteps(isa),
  )
})
