/**
 * int8 inference layer by layer: each convolution held against whole numbers computed here from what the processor itself
 * put into the layer: u8 = round(value * 255 / range), s8 weights in steps of their output's largest.
 */
import { describe, expect, test } from 'vitest'
import type { LayerRow } from '../../lib/model/layer.js'
import { makeProblem, type Problem } from './problem.js'
import { isaEnvironments, NativeProcess, nativeAbsent, nativeSkipReason, processorHas } from './process.js'

const noInt8 = nativeAbsent || !processorHas('avx512_vnni')
const reason = nativeAbsent ? nativeSkipReason : noInt8 ? ' (skipped: a processor without AVX512_VNNI)' : ''

interface Way {
  env: Record<string, string>
  products: string
  loops: string
}
const ways: [string, Way][] = [
  [
    'without bf16',
    { env: { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_VNNI' }, products: 'avx512_vnni', loops: 'own:avx512_vnni' },
  ],
]
if (processorHas('avx512_bf16'))
  ways.push([
    'without AMX',
    { env: { GOOGLENET_MAX_ISA: 'avx512' }, products: 'avx512_vnni', loops: 'own:avx512_bf16' },
  ])
if (processorHas('amx_int8')) ways.push(['by AMX', { env: {}, products: 'amx', loops: 'own:avx512_bf16' }])

const conv = (name: string, src: string, outputs: number, kernel: number): LayerRow => ({
  ...{ op: 'conv', name, src, outputs, kernel, pad: (kernel - 1) / 2, relu: true },
})
const rows: LayerRow[] = [
  { op: 'input', name: 'data', channels: 3, height: 19, width: 17, planar: true },
  conv('stem', 'data', 40, 3),
  conv('a', 'stem', 56, 1),
  conv('b3', 'a', 24, 3),
  conv('b5', 'a', 80, 5),
  { op: 'pool', name: 'p', src: 'a', kind: 'max', kernel: 3, stride: 1, pad: 1 },
  conv('bp', 'p', 16, 1),
  { op: 'concat', name: 'cat', src: ['b3', 'b5', 'bp'] },
  { op: 'pool', name: 'q', src: 'cat', kind: 'max', kernel: 3, stride: 2 },
  conv('d', 'q', 33, 3),
  conv('e', 'd', 48, 1),
  { op: 'pool', name: 'mean', src: 'e', kind: 'average', kernel: [9, 8] },
  { op: 'linear', name: 'y', src: 'mean', outputs: 10 },
]
const quantised = ['a', 'b3', 'b5', 'bp', 'd', 'e'] as const
/** By blob of bytes: the blobs that its channels lie in, which know their ranges. */
const parts: Record<string, string[]> = { p: ['a'], cat: ['b3', 'b5', 'bp'], q: ['b3', 'b5', 'bp'] }
type Row = Extract<LayerRow, { op: 'conv' }>
const rowOf = (name: string) => rows.find((row) => row.name === name) as Row

/** Of the channels, unknown: biases are not corrected. */
const none = new Float32Array()
const ranges = Object.fromEntries(quantised.map((name, i) => [name, 3 + i]))
const stepsOf = (blob: string): number[] =>
  (parts[blob] ?? [blob]).flatMap((name) => Array(rowOf(name).outputs).fill(ranges[name]! / 255))

type Blob = { shape: readonly number[]; data: Float32Array }

/** What a convolution of bytes writes, in its own steps, before it is rounded; `means` by input channel, or none. */
function expected(problem: Problem, name: string, src: Blob, steps: number[], means?: number[]): Float64Array {
  const row = rowOf(name)
  const [n, inputs, height, width] = src.shape as [number, number, number, number]
  const kernel = row.kernel as number
  const weights = problem.parameters[`${name}.weight`]!.data
  const bias = problem.parameters[`${name}.bias`]!.data
  const taps = kernel * kernel
  const pad = (kernel - 1) / 2
  const bytes = src.data.map((value, i) => Math.round(value / steps[Math.floor(i / (height * width)) % inputs]!))
  const result = new Float64Array(n * row.outputs * height * width)
  for (let o = 0; o < row.outputs; o++) {
    const exact = Array.from({ length: inputs * taps }, (_, k) => {
      return weights[o * inputs * taps + k]! * steps[Math.floor(k / taps)]!
    })
    const unit = Math.max(...exact.map(Math.abs)) / 127
    const factors = exact.map((value) => Math.round(value / unit))
    const lost = exact.reduce((sum, value, k) => {
      const i = Math.floor(k / taps)
      return sum + ((value - factors[k]! * unit) / steps[i]!) * (means?.[i] ?? 0)
    }, 0)
    for (let image = 0; image < n; image++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          let sum = 0
          for (let k = 0; k < inputs * taps; k++) {
            const i = Math.floor(k / taps)
            const [sy, sx] = [y + Math.floor((k % taps) / kernel) - pad, x + (k % kernel) - pad]
            if (sy < 0 || sx < 0 || sy >= height || sx >= width) continue
            sum += factors[k]! * bytes[((image * inputs + i) * height + sy) * width + sx]!
          }
          const at = ((image * row.outputs + o) * height + y) * width + x
          result[at] = (sum * unit + bias[o]! + lost) / (ranges[name]! / 255)
        }
  }
  return result
}

const problem = makeProblem({ name: 'int8', rows, batch: 3 })
const meansOf = (name: string) => Float32Array.from({ length: rowOf(name).outputs }, (_, c) => 0.2 + (c % 7) / 10)

describe.skipIf(noInt8).each(ways)(`int8 on the processor, %s${reason}`, (_title, { env, products, loops }) => {
  test.each([false, true])('every layer is what whole numbers say, biases corrected: %s', async (corrected) => {
    const calibration = Object.fromEntries(
      quantised.map((name) => [name, { range: ranges[name]!, mean: corrected ? meansOf(name) : none }]),
    )
    await using native = new NativeProcess({ env, options: { precision: 'int8', calibration } })
    const { parameters, inputs } = problem
    const names = rows.filter(({ op }) => op !== 'input').map(({ name }) => name)
    const { outputs } = await native.run({ rows, parameters, inputs, training: false, outputs: names })

    for (const name of ['b3', 'b5', 'bp', 'd', 'e']) {
      const src = rowOf(name).src
      // The means of what a pool writes are not known, so what reads it is not corrected.
      const means = corrected && !(src in parts) ? [...meansOf(src)] : undefined
      const wanted = expected(problem, name, outputs[src]!, stepsOf(src), means)
      const step = ranges[name]! / 255
      let equal = 0
      outputs[name]!.data.forEach((value, i) => {
        const byte = Math.min(255, Math.max(0, wanted[i]!))
        expect(Math.abs(value / step - byte), `${name}[${i}]`).toBeLessThan(0.6) // half a step, and a factor that f32 rounds the other way
        if (Math.round(value / step) === Math.round(byte)) equal++
      })
      expect(equal / wanted.length, name).toBeGreaterThan(0.999)
      expect(new Set(outputs[name]!.data).size, name).toBeGreaterThan(60)
      expect(new Set(outputs[name]!.data).size, name).toBeLessThanOrEqual(256)
    }
    // Values that lie beyond the range are as large as it allows.
    expect(Math.max(...outputs.b5!.data)).toBeCloseTo(ranges.b5!, 5)
    for (const name of ['p', 'q', 'mean', 'y']) expect(outputs[name]!.data.every(Number.isFinite)).toBe(true)

    // Without blobs that are kept memory is reused: the same bits.
    const lean = await native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })
    expect(lean.outputs.y).toEqual(outputs.y)
  })

  test('pools of bytes: maxima are those of their window, averages are means', async () => {
    const calibration = Object.fromEntries(quantised.map((name) => [name, { range: ranges[name]!, mean: none }]))
    await using native = new NativeProcess({ env, options: { precision: 'int8', calibration } })
    const { parameters, inputs } = problem
    const { outputs } = await native.run({
      rows,
      parameters,
      inputs,
      training: false,
      outputs: ['cat', 'q', 'e', 'mean'],
    })
    const maxima = (src: Blob, dst: Blob, kernel: number, stride: number) => {
      const [height, width] = src.shape.slice(2) as [number, number]
      const [outHeight, outWidth] = dst.shape.slice(2) as [number, number]
      dst.data.forEach((value, i) => {
        const plane = Math.floor(i / (outHeight * outWidth))
        const [oy, ox] = [Math.floor(i / outWidth) % outHeight, i % outWidth]
        let best = 0
        for (let y = oy * stride; y < Math.min(oy * stride + kernel, height); y++)
          for (let x = ox * stride; x < Math.min(ox * stride + kernel, width); x++)
            best = Math.max(best, src.data[(plane * height + y) * width + x]!)
        expect(value).toBe(best)
      })
    }
    maxima(outputs.cat!, outputs.q!, 3, 2)
    const area = outputs.e!.shape[2]! * outputs.e!.shape[3]!
    outputs.mean!.data.forEach((value, i) => {
      const mean = outputs.e!.data.subarray(i * area, (i + 1) * area).reduce((a, b) => a + b, 0) / area
      expect(Math.abs(value - mean)).toBeLessThanOrEqual(mean / 256) // bf16
    })
  })

  test('what can be bytes is', async () => {
    const calibration = Object.fromEntries(quantised.map((name) => [name, { range: ranges[name]!, mean: none }]))
    await using native = new NativeProcess({ env, options: { precision: 'int8', calibration } })
    const { kernels } = await native.profile({ rows, batch: 2, training: false })
    const found = Object.fromEntries(kernels.map(({ name, implementation }) => [name, implementation]))
    const [bf16, int8] = [`${products}:bf16`, `${products}:int8`]
    expect(found).toMatchObject({ stem: bf16, a: bf16, b3: int8, b5: int8, bp: int8, d: int8, e: int8, p: loops })
  })

  test.each([
    ['a blob that is not there', { nose: { range: 1, mean: none } }, /no blob 'nose'/],
    ['a range of 0', { a: { range: 0, mean: none } }, /range must be a positive number, got 0/],
    ['means of other channels', { a: { range: 1, mean: new Float32Array(3) } }, /expected 56 means, got 3/],
  ])('refuses %s', async (_title, calibration, message) => {
    await using native = new NativeProcess({ env, options: { precision: 'int8', calibration } })
    const { parameters, inputs } = problem
    await expect(native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })).rejects.toThrow(message)
  })
})

describe.skipIf(nativeAbsent)(`processors without VNNI${nativeSkipReason}`, () => {
  test.each(['avx2', 'portable'] as const)('%s: int8 is refused, and what to do', async (isa) => {
    await using native = new NativeProcess({ env: isaEnvironments[isa], options: { precision: 'int8' } })
    const { parameters, inputs } = problem
    const run = native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })
    await expect(run).rejects.toThrow(new RegExp(`GOOGLENET_ERR_UNSUPPORTED.*AVX512_VNNI.*${isa}.*use bf16 or f32`))
  })
})
