/** The bench for GPUs without one: what it refuses, and its tables on the simulated device, which say what they are. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, type Simulation, simulated } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'

const NOTE = 'simulated, not a GPU figure'
const BENCH = fileURLToPath(new URL('../../bench/gpu.mjs', import.meta.url))

function bench(args: string[], simulation: Simulation = {}, more: Record<string, string> = {}) {
  const env = { ...process.env, ...simulated(simulation).env, ...more }
  const { stdout, stderr, status } = spawnSync(process.execPath, [BENCH, ...args], { env, encoding: 'utf8' })
  return { stdout: stdout.trim(), stderr: stderr.trim(), status }
}
const QUICK = ['--simulated', '--quick', '--rounds', '1', '--peers', 'none', '--precision', 'f32']

interface Report {
  note: string
  simulated: boolean
  rows: { work: string; precision: string; batch: number; ours: number; peers: object; ratio: null; details: object }[]
  operations: {
    precision: string
    training: boolean
    kernels: { name: string; op: string; direction: string; implementation: string; limitMs: number | null }[]
  }[]
}

describe.skipIf(nativeAbsent)(`bench:gpu${nativeSkipReason}`, () => {
  const folder = useFolder()
  beforeAll(buildSimulator, 600_000)

  test('without a GPU it says so in one line and with its own exit code', () => {
    const { stdout, stderr, status } = bench([], { devices: 0 })
    expect({ stdout, status }).toEqual({ stdout: '', status: 3 })
    expect(stderr).toMatch(
      /^googlenet bench:gpu: GOOGLENET_ERR_DEVICE_UNAVAILABLE: device 'cuda' is not available: .*$/,
    )
    const json = JSON.parse(bench(['--json'], { devices: 0 }).stdout)
    expect(json.error).toEqual({
      code: 'GOOGLENET_ERR_DEVICE_UNAVAILABLE',
      message: expect.stringMatching(/sees no GPU/),
    })
  })

  test.each([
    ['a simulated device that is not announced', [], /--simulated is missing: this is cuda:0, simulated device/],
    ['an unknown precision', ['--precision', 'f64'], /--precision: expected f32, tf32, bf16, got 'f64'/],
    ['an unknown peer', ['--peers', 'caffe'], /--peers: expected torch, .*, got 'caffe'/],
    ['an unknown work', ['--only', 'sleep'], /--only: expected inference, training, operations/],
    ['no rounds', ['--rounds', '0'], /--rounds: expected a positive number, got '0'/],
    ['half a stream', ['--simulated', '--streams', '0.5'], /--streams: expected a whole number from 1 to 8, got '0.5'/],
    ['tuning and none', ['--tune', '--no-tune'], /--tune: not together with --no-tune/],
    ['an unknown option', ['--fast'], /Unknown option '--fast'/],
  ])('%s is refused', (_what, args, words) => {
    const { stdout, stderr, status } = bench(args)
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 })
    expect(stderr).toMatch(words)
  })

  test('nothing simulated is recorded', () => {
    const file = join(folder.path, 'record.json')
    const { stderr, status } = bench([...QUICK, '--record', file])
    expect(stderr).toMatch(/nothing of the simulated device is recorded/)
    expect({ status, written: existsSync(file) }).toEqual({ status: 2, written: false })
  })

  test('every line of the tables says that it is simulated', () => {
    const { stdout, stderr, status } = bench(QUICK)
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    const lines = stdout.split('\n')
    expect(lines.filter((line) => !line.startsWith(`${NOTE} |`))).toEqual([])
    for (const words of [
      /inference, batch 2, f32$/,
      /training, batch 2, f32$/,
      / googlenet +[\d.]+ /,
      /\| ours: not tuned, 1 stream; training names the next batch with each step$/,
      /limit: H100 SXM/,
    ])
      expect(stdout).toMatch(new RegExp(words.source, 'm'))
  })

  test('tuned, on two streams', () => {
    const cache = join(folder.path, 'cache')
    const args = [...QUICK, '--tune', '--streams', '2']
    const { stdout, stderr, status } = bench(args, {}, { GOOGLENET_CACHE: cache })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    expect(stdout).toMatch(/\| ours: tuned, 2 streams; /)
    expect(stdout).toMatch(/ conv1\/7x7_s2 +forward .*, (timed|remembered), [\d.]+ ms$/m)
    // Those of inference and training at batch 2; of the losses' check, batch 4, none.
    const keys = Object.keys(JSON.parse(readFileSync(join(cache, 'cuda-tuning.json'), 'utf8')) as object)
    expect(new Set(keys.map((key) => / (\d+)x\d+x\d+x\d+\/\d+ to /.exec(key)?.[1]))).toEqual(new Set(['2']))
  })

  test('cards are known by the names that drivers give them', async () => {
    const { cardOf } = (await import(fileURLToPath(new URL('../../bench/lib/roofline.mjs', import.meta.url)))) as {
      cardOf: (device: string) => { name: string } | undefined
    }
    const names = [
      'NVIDIA H200',
      'NVIDIA H100 80GB HBM3',
      'NVIDIA A100-SXM4-80GB',
      'NVIDIA H200 NVL',
      'NVIDIA H100 PCIe',
    ]
    const cards = names.map((name) => cardOf(`cuda:0, ${name}, compute capability 9.0`)?.name)
    expect(cards).toEqual(['H200 SXM', 'H100 SXM', 'A100 SXM 80 GB', undefined, undefined])
  })

  test('one object, with a limit for all that moves data', () => {
    const { stdout, status } = bench([...QUICK, '--json', '--precision', 'f32,tf32'])
    expect(status).toBe(0)
    expect(stdout.split('\n')).toHaveLength(1)
    const report: Report = JSON.parse(stdout)
    expect(report).toMatchObject({ note: NOTE, simulated: true, tune: false, streams: 1 })
    const shapes = report.rows.map(({ work, precision, batch }) => [work, precision, batch])
    expect(shapes).toEqual(
      ['inference', 'training'].flatMap((work) => ['f32', 'tf32'].map((precision) => [work, precision, 2])),
    )
    for (const row of report.rows.filter(({ precision }) => precision === 'f32')) {
      // It was held against the processor before it was timed.
      expect(row).toMatchObject({ ours: expect.any(Number), peers: {}, ratio: null })
      expect(row.details).toMatchObject({ googlenet: { difference: expect.any(Number), problem: null } })
    }
    const plans = report.operations.map(({ precision, training }) => [precision, training])
    expect(plans).toEqual(
      ['f32', 'tf32'].flatMap((precision) => [false, true].map((training) => [precision, training])),
    )
    const [inference, training, ...others] = report.operations.map(({ kernels }) => kernels)
    const convolutions = others.flat().filter(({ op }) => op === 'conv' || op === 'linear')
    expect(convolutions.length).toBeGreaterThan(100)
    for (const { implementation } of convolutions) expect(implementation).toContain('tensor cores')
    const least = (kernels: typeof convolutions) => kernels.reduce((sum, { limitMs }) => sum + (limitMs ?? 0), 0)
    expect(least(others[1]!)).toBeLessThan(least(training!))
    expect(training!.length).toBeGreaterThan(2 * inference!.length)
    const unlimited = [...inference!, ...training!].filter(({ limitMs }) => limitMs === null)
    expect(new Set(unlimited.map(({ op }) => op))).toEqual(new Set(['softmax', 'dropout', 'loss']))
    expect([...inference!, ...training!].every(({ limitMs }) => limitMs === null || limitMs > 0)).toBe(true)
  })
})
