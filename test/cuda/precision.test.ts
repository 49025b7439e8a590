/**
 * Convolutions in tf32 and bf16 on the simulated device: every case of the operations suite, each layer held against the
 * float64 reference of what the device itself computed before it, and the gradients against the reference that decides
 * as the device did. All ways that convolutions can take.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cases } from '../ops/cases.js'
import { relativeError } from '../ops/compare.js'
import { makeProblem } from '../ops/problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { rowsOf, runReference } from '../reference/network.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { expectPrecision } from './precision.js'

const withWeights = cases.filter(({ rows }) => rows.some(({ op }) => op === 'conv' || op === 'linear'))

describe.skipIf(nativeAbsent).each([
  ['tf32', 'fused', withWeights],
  ['bf16', 'fused', cases],
  ['bf16', 'packed-fused', withWeights],
  ['bf16', 'plain', withWeights],
  ['bf16', 'packed', withWeights],
] as const)(`simulated CUDA in %s, convolutions %s${nativeSkipReason}`, (precision, way, list) => {
  let native: NativeProcess
  beforeAll(() => {
    buildSimulator()
    native = new NativeProcess(simulated({ way, precision }))
  }, 600_000)
  afterAll(() => native[Symbol.asyncDispose]())

  test.each(list)('$name', (entry) => expectPrecision(native, makeProblem(entry), precision))

  test('goes that way, on tensor cores', async () => {
    const { rows } = makeProblem(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!)
    const { kernels } = await native.profile({ rows, batch: 2, training: true })
    const texts = kernels
      .filter(({ op }) => op === 'conv' || op === 'linear')
      .map(({ implementation }) => implementation)
    expect(texts.length).toBeGreaterThan(40)
    expect(texts.filter((text) => !text.includes('tensor cores'))).toEqual([])
    // Where nothing is a slice, nothing needs packing; without fused graphs every result of the wrong type is converted.
    const ways = {
      fused: ['fused'],
      'packed-fused': ['fused', 'packed-fused'],
      plain: ['plain'],
      packed: ['packed', 'plain'],
    }
    expect([...new Set(texts.map((text) => /^cudnn:\d+ ([a-z-]+),/.exec(text)![1]))].sort()).toEqual(ways[way])
  })
})

// What would pass if a precision were ignored.
describe.skipIf(nativeAbsent)(`simulated CUDA tells precisions apart${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)

  test('by their rounding', async () => {
    const { rows, parameters, inputs } = makeProblem(cases.find(({ name }) => name === 'conv 3x3 pad 1')!)
    const { blobs } = runReference(rowsOf(rows, false), dataOf(parameters), inputs, [], { training: false })
    const errors = await Promise.all(
      (['f32', 'tf32', 'bf16'] as const).map(async (precision) => {
        await using native = new NativeProcess(simulated({ precision }))
        const { outputs } = await native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })
        return relativeError(outputs.y!.data, blobs.y!.data)
      }),
    )
    const [f32, tf32, bf16] = errors as [number, number, number]
    expect(f32).toBeLessThan(1e-6)
    expect(tf32).toBeGreaterThan(30 * f32)
    expect(bf16).toBeGreaterThan(3 * tf32)
  })
})

const dataOf = (tensors: Record<string, { data: Float32Array }>) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]))
