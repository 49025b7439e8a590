/** The choice among cuDNN's engines on the simulated device: by time, only of right ones, and remembered. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { KernelInfo, Precision } from '../../lib/native.js'
import { cases } from '../ops/cases.js'
import { expectParity, solveCase } from '../ops/parity.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'
import { DONE, inChild, on } from './child.js'

const withWeights = cases.filter(({ rows }) => rows.some(({ op }) => op === 'conv' || op === 'linear'))
const miniature = cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!

describe.skipIf(nativeAbsent)(`tuning on simulated CUDA${nativeSkipReason}`, () => {
  const folder = useFolder()
  const cache = () => join(folder.path, 'cache')
  const file = () => join(cache(), 'cuda-tuning.json')
  beforeAll(buildSimulator, 600_000)
  beforeEach(() => rmSync(cache(), { recursive: true, force: true }))

  const place = (more: Record<string, string> = {}, precision: Precision = 'f32') => {
    const { env, options } = simulated({ precision })
    return { env: { ...env, GOOGLENET_CACHE: cache(), ...more }, options: { ...options!, tune: true } }
  }
  /** What the convolutions of a small network are run by. */
  async function implementations(more: Record<string, string> = {}, precision?: Precision): Promise<string[]> {
    await using native = new NativeProcess(place(more, precision))
    const { kernels } = await native.profile({ rows: solveCase(miniature).problem.rows, batch: 2, training: true })
    return kernels.filter(({ op }: KernelInfo) => op === 'conv' || op === 'linear').map((k) => k.implementation)
  }

  test('the fastest is taken, remembered, and not tried again', async () => {
    const first = await implementations({ SIMULATOR_TIMES: '8=0.5,1=0.02' })
    expect(first.length).toBeGreaterThan(40)
    for (const text of first)
      expect(text).toMatch(/^cudnn:1 (plain|packed), workspace \d+, (timed|remembered), 0\.0\d+ ms$/)
    const entries = Object.entries(JSON.parse(readFileSync(file(), 'utf8')) as Record<string, string>)
    expect(entries.length).toBeGreaterThan(20)
    for (const [key, value] of entries) {
      expect(key).toMatch(/^cuDNN 9\.28\.1, simulated device, 90: (forward|data|weights), (conv|linear) /)
      expect(value).toMatch(/^(plain|packed) 1 \d+, 0\.0\d+ ms$/)
    }
    // Were it timed again, engine 8 would win now.
    const second = await implementations({ SIMULATOR_TIMES: '8=0.01,1=0.5' })
    expect(second).toEqual(first.map((text) => text.replace(', timed', ', remembered')))
    rmSync(file())
    for (const text of await implementations({ SIMULATOR_TIMES: '8=0.01' }))
      expect(text).toMatch(/^cudnn:8 fused, workspace 0, (timed|remembered), 0\.0\d ms$/)
  })

  test('a wrong candidate is left out and named', async () => {
    const found = await implementations({ SIMULATOR_TIMES: '8=0.01', SIMULATOR_WRONG: '8' })
    for (const text of found)
      expect(text).toMatch(
        /^cudnn:[12] (plain|packed), .* ms, wrong: cudnn:8 fused, workspace \d+(; cudnn:8 (fused|apart), workspace \d+)?$/,
      )
  })

  test.each(['tf32', 'bf16'] as const)('in %s right ones are right and wrong ones wrong', async (precision) => {
    const found = await implementations({}, precision)
    expect(found.length).toBeGreaterThan(40)
    for (const text of found) expect(text).toMatch(/, (timed|remembered), [\d.]+ ms$/)
    const keys = Object.keys(JSON.parse(readFileSync(file(), 'utf8')) as object)
    for (const key of keys) expect(key).toMatch(new RegExp(`: (forward|data|weights) ${precision}, `))
    rmSync(file())
    const engine = /^cudnn:(\d+) /.exec(found[0]!)![1]!
    const wrong = await implementations({ SIMULATOR_WRONG: engine }, precision)
    expect(wrong.some((text) => text.includes(`, wrong: cudnn:${engine} fused`))).toBe(true)
    expect(wrong.filter((text) => text.startsWith(`cudnn:${engine} `) && text.includes(' ms'))).toEqual([])
  })

  test('another card or another cuDNN is tuned anew', async () => {
    await implementations({ SIMULATOR_TIMES: '1=0.02' })
    // Both the whole set and its parts.
    const other = { SIMULATOR_CUDNN_VERSION: '92900', SIMULATOR_PART_VERSION: '92900', SIMULATOR_TIMES: '8=0.01' }
    for (const text of await implementations(other)) expect(text).toMatch(/^cudnn:8 fused/)
    for (const text of await implementations()) expect(text).toMatch(/^cudnn:1 .* remembered/)
  })

  test.each([
    ['empty', ''],
    ['cut off', '{"cuDNN 9.28.1, simulated device, 90: forward'],
    ['a list', '[1, 2]'],
    ['nested', '{"a": {"b": 1}}'],
    ['no text', Buffer.from([0xff, 0x00, 0x22, 0x7b, 0x5c])],
  ])('a file that is %s is as good as none', async (_what, content) => {
    mkdirSync(cache(), { recursive: true })
    writeFileSync(file(), content)
    expect((await implementations())[0]).toContain(', timed')
    expect((await implementations())[0]).toContain(', remembered')
  })

  test('entries that name no engine are tried anew', async () => {
    await implementations()
    const entries = JSON.parse(readFileSync(file(), 'utf8')) as Record<string, string>
    const values = ['', 'fused 8', 'fused 8 77, 1 ms', 'plain 8 2, 1 ms', 'packed x y', 'fused 90 0, 1 ms']
    const broken = Object.fromEntries(Object.keys(entries).map((key, i) => [key, values[i % values.length]!]))
    writeFileSync(file(), JSON.stringify(broken))
    for (const text of await implementations())
      expect(text).toMatch(/^cudnn:8 fused, workspace 0, (timed|remembered), 0\.1\d? ms$/)
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual(entries)
  })

  test('a folder that cannot be written changes nothing else', async () => {
    writeFileSync(cache(), 'a file in its place')
    for (const text of await implementations()) expect(text).toMatch(/^cudnn:8 fused/)
  })

  test('a device too full to try a convolution leaves it untuned', () => {
    const script = `const model = await GoogLeNet.create({ ...small, tune: true })
      const kernels = await model.profile(2)
      const tuned = kernels.filter(({ op }) => op === 'conv').map(({ implementation }) => / ms$/.test(implementation))
      console.log((await model.step(batch(2))).loss > 0, tuned.every((is) => is))`
    const more = { GOOGLENET_CACHE: cache() }
    expect(inChild(script, on({}, more))).toEqual({ ...DONE, output: 'true true' })
    rmSync(cache(), { recursive: true })
    // Candidates that pack want more than 4 MiB each.
    expect(inChild(script, on({ memory: 4 }, more))).toEqual({ ...DONE, output: 'true false' })
  })

  test('a model tuned to a packing engine trains as the processor does, recorded or not', () => {
    const script = (device: string) => `
      const { sgd } = await import(new URL('../../dist/index.js', 'file://' + process.cwd() + '/test/cuda/'))
      const images = new Float32Array(2 * 3 * 48 * 48).map((_, i) => 60 * Math.sin(i))
      for (const capture of [true, false]) {
        const model = await GoogLeNet.create({ ...small, device: '${device}', tune: true, capture })
        for (let step = 0; step < 4; step++) console.log((await model.step({ images, labels: [0, 2] }, { optimizer: sgd(), rate: 0.01 })).loss)
      }`
    const env = on({}, { GOOGLENET_CACHE: cache(), SIMULATOR_TIMES: '1=0.02' })
    const [cuda, cpu] = ['cuda', 'cpu'].map((device) => inChild(script(device), env).output.split('\n').map(Number))
    expect(cuda!.slice(0, 4)).toEqual(cuda!.slice(4))
    cuda!.forEach((loss, i) => void expect(loss / cpu![i]!).toBeCloseTo(1, 4))
  })

  // That the direct convolution finds all candidates right is seen by which is taken: the packing one where it is faster.
  describe('every case of the operations suite, tuned', () => {
    let native: NativeProcess
    beforeAll(() => {
      native = new NativeProcess(place({ SIMULATOR_TIMES: '1=0.02' }))
    })
    afterAll(() => native[Symbol.asyncDispose]())
    test.each(withWeights)('$name', async (entry) => {
      await expectParity(native, entry)
      const { rows, batch } = solveCase(entry).problem
      const { kernels } = await native.profile({ rows, batch, training: true })
      for (const { implementation } of kernels) expect(implementation).not.toContain('wrong')
    })
  })
})
