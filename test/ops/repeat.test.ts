/** What a run leaves behind, and what may change its result: nothing but its inputs. Bits are compared. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NativeTensor } from '../../lib/native.js'
import { cases } from './cases.js'
import { relativeError } from './compare.js'
import { makeProblem, type Problem, sinksOf } from './problem.js'
import { NativeProcess, type NativeRun, type NativeRunResult, nativeAbsent, nativeSkipReason } from './process.js'

const miniature = cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!
const modules = cases.find(({ name }) => name === 'network: two modules')!

function request({ rows, parameters, inputs, labels, gradients, inputGradients }: Problem): NativeRun {
  const outputs = sinksOf(rows, true).map(({ name }) => name)
  const answers = labels.length > 0 && { labels }
  return { rows, parameters, inputs, ...answers, training: true, outputs, gradients, inputGradients }
}

/** All numbers of a result, by name. */
function tensorsOf({ outputs, inputGradients, parameterGradients, losses }: NativeRunResult): [string, Float32Array][] {
  const named = (kind: string, tensors: Record<string, NativeTensor>) =>
    Object.entries(tensors).map(([name, { data }]): [string, Float32Array] => [`${kind} ${name}`, data])
  const lossValues = Object.entries(losses).map(([name, { loss }]): [string, Float32Array] => [
    name,
    Float32Array.of(loss),
  ])
  return [
    ...named('blob', outputs),
    ...named('input gradient', inputGradients),
    ...named('gradient', parameterGradients),
    ...lossValues,
  ]
}

// Arrays that came from another process may be views of one larger buffer.
const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength)

function expectSameBits(actual: NativeRunResult, expected: NativeRunResult): void {
  const tensors = tensorsOf(expected)
  expect(tensors.length).toBeGreaterThan(5)
  const others = new Map(tensorsOf(actual))
  for (const [name, data] of tensors) {
    expect(Buffer.compare(bytesOf(others.get(name)!), bytesOf(data)), name).toBe(0)
  }
}

describe.skipIf(nativeAbsent)(`repeated runs${nativeSkipReason}`, () => {
  let native: NativeProcess
  beforeAll(() => {
    native = new NativeProcess()
  })
  afterAll(() => native[Symbol.asyncDispose]())

  test.each([miniature, modules])('$name: two sessions give the same bits', async (entry) => {
    const problem = request(makeProblem(entry))
    expectSameBits(await native.run(problem), await native.run(problem))
  })

  test.each([miniature, modules])('$name: one thread agrees with two', async (entry) => {
    const problem = request(makeProblem(entry))
    const two = new Map(tensorsOf(await native.run({ ...problem, options: { threads: 2 } })))
    for (const [name, data] of tensorsOf(await native.run({ ...problem, options: { threads: 1 } }))) {
      // Only the order of sums may differ.
      expect(relativeError(two.get(name)!, data), name).toBeLessThan(1e-5)
    }
  })

  test.each([miniature, modules])('$name: batch 5, 2, inference, 5 again: the same bits', async (entry) => {
    const large = { ...request(makeProblem({ ...entry, batch: 5 })), key: `batches ${entry.name}` }
    const small = { ...request(makeProblem({ ...entry, batch: 2 })), key: large.key }
    const first = await native.run(large)
    const between = await native.run(small)
    await native.run({
      ...small,
      training: false,
      outputs: sinksOf(entry.rows, false).map(({ name }) => name),
      gradients: {},
      inputGradients: [],
    })
    expectSameBits(await native.run(large), first)
    expectSameBits(between, await native.run({ ...small, key: undefined }))
  })

  test('values that are not finite leave no trace in memory', async () => {
    const problem = request(makeProblem(modules))
    const key = 'not finite'
    const poisoned = Object.fromEntries(
      Object.entries(problem.inputs).map(([name, { shape, data }]) => [
        name,
        { shape, data: new Float32Array(data.length).fill(Number.NaN) },
      ]),
    )
    const spoilt = await native.run({ ...problem, inputs: poisoned, key })
    expect(tensorsOf(spoilt).some(([, data]) => data.some(Number.isNaN))).toBe(true)
    expectSameBits(await native.run({ ...problem, key }), await native.run(problem))
  })
})
