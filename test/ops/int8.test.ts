/**
 * int8 inference layer by layer: each convolution held against whole numbers computed here from what the processor itself
 * put into the layer: u8 = round(value * 255 / range), s8 weights in steps of their output's largest.
 */
import { describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import type { LayerRow } from '../../lib/model/layer.js'
import { makeProblem, type Problem } from './problem.js'
import { isaEnvironments, NativeProcess, nativeAbsent, nativeSkipReason, processorHas } from './process.js'

interface Way {
  env: Record<string, string>
  products: string
  loops: string
}
/** By what else a processor needs. */
const ways: [string, string, Way][] = [
  ['', 'portable', { env: isaEnvironments.portable, products: 'portable', loops: 'own:portable_bf16' }],
  ['avx2', 'AVX2', { env: isaEnvironments.avx2, products: 'avx2', loops: 'own:avx2_bf16' }],
  [
    'avx_vnni',
    'AVX2 with dot products',
    { env: { GOOGLENET_MAX_ISA: 'avx2' }, products: 'avx2_vnni', loops: 'own:avx2_bf16' },
  ],
  [
    'avx512bw',
    'AVX-512 without dot products',
    { env: { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE' }, products: 'avx2', loops: 'own:avx2_bf16' },
  ],
  [
    'avx512_vnni',
    'AVX-512 without bf16',
    { env: { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_VNNI' }, products: 'avx512_vnni', loops: 'own:avx512_vnni' },
  ],
  [
    'avx512_bf16',
    'AVX-512 without AMX',
    { env: { GOOGLENET_MAX_ISA: 'avx512' }, products: 'avx512_vnni', loops: 'own:avx512_bf16' },
  ],
  ['amx_int8', 'AMX', { env: {}, products: 'amx', loops: 'own:avx512_bf16' }],
]
const reasonOf = (flag: string) =>
  nativeAbsent ? nativeSkipReason : flag && !processorHas(flag) ? ` (skipped: a processor without ${flag})` : ''

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

const uncorrected = Object.fromEntries(quantised.map((name) => [name, { range: ranges[name]!, mean: none }]))

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

for (const [flag, title, { env, products, loops }] of ways)
  describe.skipIf(reasonOf(flag))(`int8 on the processor, ${title}${reasonOf(flag)}`, () => {
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
      await using native = new NativeProcess({ env, options: { precision: 'int8', calibration: uncorrected } })
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
      await using native = new NativeProcess({ env, options: { precision: 'int8', calibration: uncorrected } })
      const { kernels } = await native.profile({ rows, batch: 2, training: false })
      const found = Object.fromEntries(kernels.map(({ name, implementation }) => [name, implementation]))
      const [bf16, int8] = [`${products}:bf16`, `${products}:int8`]
      expect(found).toMatchObject({ stem: bf16, a: bf16, b3: int8, b5: int8, bp: int8, d: int8, e: int8, p: loops })
    })

    test('GoogLeNet: no reference code', async () => {
      const layers = googlenet({ auxiliary: false })
      const convolutions = layers.filter(({ op }) => op === 'conv').map(({ name }) => [name, { range: 1, mean: none }])
      const options = { precision: 'int8', calibration: Object.fromEntries(convolutions) } as const
      await using native = new NativeProcess({ env, options })
      const { kernels } = await native.profile({ rows: layers, batch: 1, training: false })
      const own = new RegExp(`^(${products}:(int8|bf16)|${loops}|own)$`)
      const named = kernels.map(({ name, implementation }) => `${name}: ${implementation}`)
      expect(named.filter((line) => !own.test(line.split(': ')[1]!))).toEqual([])
      expect(named.filter((line) => line.endsWith(':int8')).length).toBeGreaterThan(30)
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

describe.skipIf(nativeAbsent)(`int8 without AVX-512${nativeSkipReason}`, () => {
  test('every way computes the same, but for the order in which bf16 is summed up', async () => {
    const outputs = ['a', 'cat', 'q', 'e']
    const usable = ways.filter(([flag]) => !reasonOf(flag))
    const results = await Promise.all(
      usable.map(async ([, title, { env }]) => {
        await using native = new NativeProcess({ env, options: { precision: 'int8', calibration: uncorrected } })
        const { parameters, inputs } = problem
        return [title, await native.run({ rows, parameters, inputs, training: false, outputs })] as const
      }),
    )
    // What the stem and 'a' compute in bf16 is summed up in other orders, so their bytes may differ by one.
    const [, first] = results[0]!
    for (const [title, other] of results.slice(1))
      for (const name of outputs) {
        const differing = other.outputs[name]!.data.filter((value, i) => value !== first.outputs[name]!.data[i]).length
        expect(differing / other.outputs[name]!.data.length, `${title}, ${name}`).toBeLessThan(0.01)
      }
  })

  test('what oneDNN alone can do is refused, and what to do', async () => {
    const strided: LayerRow[] = [...rows.slice(0, 2), { ...conv('s', 'stem', 16, 3), stride: 2 } as LayerRow]
    const { parameters, inputs } = makeProblem({ name: 'strided', rows: strided, batch: 1 })
    const options = { precision: 'int8', calibration: { stem: { range: 3, mean: none } } } as const
    await using native = new NativeProcess({ env: isaEnvironments.portable, options })
    const run = native.run({ rows: strided, parameters, inputs, training: false, outputs: ['s'] })
    await expect(run).rejects.toThrow(/GOOGLENET_ERR_UNSUPPORTED.*convolution 's'.*portable.*use f32/)
  })
})
