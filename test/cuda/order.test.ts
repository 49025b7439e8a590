/**
 * Kernels whose threads take their turns in the opposite order: the bits must not change. Where a thread reads what
 * another one writes in the same launch, or in the same phase between two barriers, they do; on a GPU that is a race.
 * compute-sanitizer says the same of a card, where there is one.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cases } from '../ops/cases.js'
import { makeProblem, sinksOf } from '../ops/problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { DONE, HELPERS, inChild, on, PACKAGE } from './child.js'

const orders = [false, true]

describe.skipIf(nativeAbsent).each([
  ['f32', 'fused'],
  ['f32', 'packed'],
  ['bf16', 'fused'],
  ['bf16', 'plain'],
] as const)(`threads in either order on simulated CUDA in %s, convolutions %s${nativeSkipReason}`, (precision, way) => {
  let natives: NativeProcess[]
  beforeAll(() => {
    buildSimulator()
    natives = orders.map((backwards) => new NativeProcess(simulated({ precision, way, backwards })))
  }, 600_000)
  afterAll(() => Promise.all(natives.map((native) => native[Symbol.asyncDispose]())))

  test.each(cases)('$name', async (entry) => {
    const { rows, parameters, inputs, labels, gradients, inputGradients } = makeProblem(entry)
    const request = { rows, parameters, inputs, ...(labels.length > 0 && { labels }) }
    const run = async (native: NativeProcess) => {
      const ask = (training: boolean) => ({
        ...{ ...request, training, outputs: sinksOf(rows, training).map(({ name }) => name) },
        ...(training && { gradients, inputGradients }),
      })
      const { outputs } = await native.run(ask(false))
      const { isa: _, ...trained } = await native.run(ask(true))
      return { outputs, trained }
    }
    const [forwards, backwards] = await Promise.all(natives.map(run))
    expect(Object.keys(forwards!.outputs).length).toBeGreaterThan(0)
    for (const { data } of Object.values(forwards!.outputs)) expect(data.some(Number.isNaN)).toBe(false)
    expect(backwards).toEqual(forwards)
  })
})

describe.skipIf(nativeAbsent)(`threads in either order on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  const inEither = (script: string) => {
    const [forwards, backwards] = orders.map((order) => {
      const { output, ...end } = inChild(HELPERS + script, on({ backwards: order }))
      expect(end, output).toEqual(DONE)
      return output
    })
    expect(backwards).toBe(forwards)
    return forwards!
  }

  test('every optimiser, clipping, averages, dropout', () => {
    const output = inEither(`
      const { adagrad, nesterov, rmsprop, sgd } = await import('${PACKAGE}index.js')
      for (const rule of [sgd, nesterov, adagrad, rmsprop]) {
        const model = await GoogLeNet.create({ ...small, seed: 3 })
        await model.keepAverage({ kind: 'ema', decay: 0.9, from: 0 }, 0)
        const optimizer = rule({ weightDecay: 0.01, clip: 1 })
        for (let i = 0; i < 3; i++) await model.step(noise(4, i), { optimizer, rate: 1e-3 })
        console.log(await digest(model, ['weights', 'average', 'gradients']))
        await model.dispose()
      }`)
    expect(new Set(output.split('\n')).size).toBe(4)
  })

  test('workers of one device', () => {
    inEither(`
      const { sgd } = await import('${PACKAGE}index.js')
      const model = await GoogLeNet.create({ ...small, seed: 3 })
      const push = { optimizer: sgd(), rate: 0.01, frozen: [] }
      const workers = [model.worker(), model.worker()]
      for (let i = 0; i < 4; i++) await workers[i % 2].compute(noise(4, i), { fetch: true, step: i, push, local: { rate: 0.01, frozen: [] } })
      console.log(await digest(model))`)
  })

  test('photos', () => {
    const program = fileURLToPath(new URL('../../build/simulator/photos', import.meta.url))
    const env = { ...process.env, ...on({ backwards: true }) }
    expect(execFileSync(program, { encoding: 'utf8', env })).toBe('')
  })
})
