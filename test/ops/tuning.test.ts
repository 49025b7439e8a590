/** `tune` on the processor: direct convolution against Winograd's, by time, remembered for later runs. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { SessionOptions } from '../../lib/native.js'
import { useFolder } from '../train/pictures.js'
import { cases } from './cases.js'
import { expectParity, solveCase } from './parity.js'
import { isaEnvironments, NativeProcess, nativeAbsent, nativeSkipReason } from './process.js'

const miniature = cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!
/** Of a network in which both can be computed by either: windows of 3x3 and 5x5. */
const choice = /^(direct|winograd), [\d.e-]+ ms; (winograd|direct) [\d.e-]+ ms$/

describe.skipIf(nativeAbsent)(`tuning on the processor${nativeSkipReason}`, () => {
  const folder = useFolder()
  const cache = () => join(folder.path, 'cache')
  const file = () => join(cache(), 'cpu-tuning.json')
  const entries = () => JSON.parse(readFileSync(file(), 'utf8')) as Record<string, string>
  beforeEach(() => rmSync(cache(), { recursive: true, force: true }))

  const place = (options: Omit<SessionOptions, 'layers'> = {}, isa: keyof typeof isaEnvironments = 'best') => ({
    env: { ...isaEnvironments[isa], GOOGLENET_CACHE: cache() },
    options: { threads: 2, tune: true, ...options },
  })
  /** What the convolutions that there is a choice for are run by. */
  async function implementations(...where: Parameters<typeof place>): Promise<string[]> {
    await using native = new NativeProcess(place(...where))
    const { kernels } = await native.profile({ rows: solveCase(miniature).problem.rows, batch: 2, training: true })
    return kernels.filter(({ op, name }) => op === 'conv' && /\/[35]x[35]$/.test(name)).map((k) => k.implementation)
  }

  test('each shape is timed once; what was faster is taken, and remembered', async () => {
    const first = await implementations()
    expect(first.length).toBeGreaterThan(10)
    for (const text of first) {
      expect(text).toMatch(/^[\w:]+, (timed|remembered), [\d.e-]+ ms; (winograd|direct) [\d.e-]+ ms$/)
      const [ours, other] = [.../([\d.e-]+) ms; \w+ ([\d.e-]+) ms$/.exec(text)!.slice(1)].map(Number)
      expect(ours).toBeLessThanOrEqual(other!)
      expect(text.startsWith('winograd:')).toBe(/; direct /.test(text))
    }
    expect(first.some((text) => text.includes(', timed'))).toBe(true)
    for (const [key, value] of Object.entries(entries())) {
      expect(key).toMatch(/^oneDNN [\d.]+, .+, \w+, 2 threads, training: (forward|data|weights), conv /)
      expect(value).toMatch(choice)
    }
    const before = readFileSync(file(), 'utf8')
    expect(await implementations()).toEqual(first.map((text) => text.replace(', timed', ', remembered')))
    expect(readFileSync(file(), 'utf8')).toBe(before)
  })

  test('what is remembered decides, whatever the times', async () => {
    await implementations()
    for (const [name, pattern] of [
      ['direct', /^(?!winograd:)/],
      ['winograd', /^winograd:/],
    ] as const) {
      const changed = Object.fromEntries(Object.keys(entries()).map((key) => [key, `${name}, 1 ms`]))
      writeFileSync(file(), JSON.stringify(changed))
      for (const text of await implementations()) {
        expect(text).toMatch(pattern)
        expect(text).toMatch(/, remembered, 1 ms$/)
      }
    }
  })

  test('another number of threads and another instruction set are timed anew', async () => {
    await implementations()
    const count = Object.keys(entries()).length
    expect((await implementations({ threads: 1 }))[0]).toContain(', timed')
    expect(Object.keys(entries()).length).toBe(2 * count)
    expect((await implementations({}, 'portable'))[0]).toContain(', timed')
    expect(Object.keys(entries()).length).toBe(3 * count)
    expect((await implementations())[0]).toContain(', remembered')
  })

  test.each([
    ['empty', ''],
    ['cut off', '{"oneDNN 3.7.2, '],
    ['a list', '[1, 2]'],
    ['nested', '{"a": {"b": 1}}'],
    ['no text', Buffer.from([0xff, 0x00, 0x22, 0x7b, 0x5c])],
  ])('a file that is %s is as good as none', async (_what, content) => {
    mkdirSync(cache(), { recursive: true })
    writeFileSync(file(), content)
    expect((await implementations())[0]).toContain(', timed')
    expect((await implementations())[0]).toContain(', remembered')
  })

  test('entries that name no way are timed anew, others are kept', async () => {
    await implementations()
    const values = ['', 'fused 8', 'Winograd, 1 ms', 'directly, 1 ms', ', 1 ms']
    const broken = Object.fromEntries(Object.keys(entries()).map((key, i) => [key, values[i % values.length]!]))
    writeFileSync(file(), JSON.stringify({ ...broken, 'another processor: forward': 'something' }))
    for (const text of await implementations()) expect(text).toMatch(/, (timed|remembered), [\d.e-]+ ms; /)
    const { 'another processor: forward': foreign, ...ours } = entries()
    expect(foreign).toBe('something')
    for (const value of Object.values(ours)) expect(value).toMatch(choice)
  })

  test('a folder that cannot be written changes nothing else', async () => {
    writeFileSync(cache(), 'a file in its place')
    expect((await implementations())[0]).toContain(', timed')
  })

  test.each([
    ['not asked for', { tune: false }],
    ['exact, where there is no choice', { exact: true }],
    ['bf16, where there is none yet', { precision: 'bf16' }],
  ] as const)('nothing is timed: %s', async (_what, options) => {
    const found = await implementations(options).catch((error: Error) => error)
    // bf16 needs a processor that has it.
    if (found instanceof Error) return void expect(found.message).toMatch(/bf16 needs a processor/)
    for (const text of found) expect(text).not.toMatch(/timed|remembered/)
    expect(existsSync(file())).toBe(false)
  })

  test('a tuned network computes what it should', async () => {
    await using native = new NativeProcess(place())
    await expectParity(native, miniature)
  })
})
