/**
 * Convolutions in tf32 and bf16 on the simulated device: every case of the operations suite, each layer held against the
 * float64 reference of what the device itself computed before it, and the gradients against the reference that decides
 * as the device did. All ways that convolutions can take.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { simulatedTolerances } from '../gpu/tolerances.js'
import { cases } from '../ops/cases.js'
import { relativeError } from '../ops/compare.js'
import { expectPrecision } from '../ops/precision.js'
import { makeProblem } from '../ops/problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { rowsOf, runReference } from '../reference/network.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'

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

  test.each(list)('$name', (entry) => expectPrecision(native, makeProblem(entry), simulatedTolerances[precision]))

  test('goes that way, on tensor cores', async () => {
    const { rows } = makeProblem(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!)
    const { kernels } = await native.profile({ rows, batch: 2, training: true })
    const texts = kernels
      .filter(({ op }) => op === 'conv' || op === 'linear')
      .map(({ implementation }) => implementation)
    expect(texts.length).toBeGreaterThan(40)
    expect(texts.filter((text) => !text.includes('tensor cores'))).toEqual([])
    // Where nothing is a slice, nothing needs packing; without fused graphs every result of the wrong type is converted.
    // The image's convolution is folded.
    const ways = {
      fused: ['folded', 'fused'],
      'packed-fused': ['folded', 'fused', 'packed-fused'],
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

/** The neighbours of a number in bf16, and the nearer of them; of two equally near ones that with an even last bit. */
function nearest(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!
  const number = (upper: number) => new Float32Array(Uint32Array.of(upper * 0x10000).buffer)[0]!
  const [inner, outer] = [bits >>> 16, (bits >>> 16) + 1]
  const [below, above] = [Math.abs(value - number(inner)), Math.abs(number(outer) - value)]
  return number(below < above || (below === above && inner % 2 === 0) ? inner : outer)
}

describe.skipIf(nativeAbsent)(`bf16 on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)

  test('is rounded to the nearest, ties to even', async () => {
    const unit = 2 ** -7
    const data = Float32Array.of(
      ...[
        1,
        1 + unit / 2,
        1 + 1.5 * unit,
        1 + 0.49 * unit,
        1 + 0.51 * unit,
        2 - unit / 4,
        3e-39,
        0,
        -0,
        255.5,
        Math.PI,
      ],
    )
    const values = Float32Array.of(...data, ...data.map((value) => -value), Number.NaN, Infinity, -Infinity)
    const x = { shape: [1, values.length, 1, 1], data: values }
    const row = { op: 'input', name: 'x', channels: values.length, height: 1, width: 1 } as const
    await using native = new NativeProcess(simulated({ precision: 'bf16' }))
    const rows = [row, { op: 'pool', name: 'y', src: 'x', kind: 'max', kernel: 1 } as const]
    const { outputs } = await native.run({ rows, parameters: {}, inputs: { x }, training: false, outputs: ['x', 'y'] })
    const expected = values.map((value) => (Number.isFinite(value) ? nearest(value) : value))
    expect(expected.slice(0, 6)).toEqual(Float32Array.of(1, 1, 1 + 2 * unit, 1, 1 + unit, 2))
    expect(outputs.x!.data).toEqual(expected)
    expect(outputs.y!.data).toEqual(expected)
  })

  test('holds what bytes minus whole means are', async () => {
    const row = { op: 'input', name: 'x', channels: 3, height: 16, width: 16 } as const
    const data = Uint8Array.from({ length: 3 * 256 }, (_, i) => Math.floor(i / 3))
    const place = simulated({ precision: 'bf16' })
    await using native = new NativeProcess(place)
    const rows = [row, { op: 'pool', name: 'y', src: 'x', kind: 'max', kernel: 1 } as const]
    const { outputs } = await native.run({
      ...{ rows, parameters: {}, training: false, outputs: ['x'], options: { mean: [104, 117, 123] } },
      inputs: { x: { shape: [1, 16, 16, 3], data } },
    })
    const planes = [104, 117, 123].flatMap((mean) => Array.from({ length: 256 }, (_, byte) => byte - mean))
    expect(outputs.x!.data).toEqual(Float32Array.from(planes))
  })
})

const dataOf = (tensors: Record<string, { data: Float32Array }>) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]))
