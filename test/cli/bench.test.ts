/** `npm run bench` without its peers: what it refuses and leaves out, the shape of its rows, and that a wrong peer is not timed. */
import { spawn } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { useFolder } from '../train/pictures.js'

const path = (relative: string) => fileURLToPath(new URL(`../../bench/${relative}`, import.meta.url))
const load = (relative: string) => import(path(relative))

async function bench(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [path('run.mjs'), ...args], { env: { ...process.env, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { code, stdout, stderr }
}

/** Random weights: no reference data. Without bf16 on any processor. */
const BARE = { GOOGLENET_DATA: '/nowhere', ONEDNN_MAX_CPU_ISA: 'AVX2' }
const SHORT = ['--quick', '--rounds', '1', '--only', 'inference', '--batch', '2', '--threads', '1']

describe.skipIf(nativeAbsent)(`bench${nativeSkipReason}`, () => {
  const folder = useFolder()

  test.each([
    ['an unknown precision', ['--precision', 'f64'], "--precision: expected f32, bf16, int8; got 'f64'"],
    ['an unknown peer', ['--peers', 'caffe'], '--peers: expected openvino, '],
    ['an unknown work', ['--only', 'sleep'], "--only: expected inference, training, decoding; got 'sleep'"],
    ['half a batch', ['--batch', '8,0.5'], "--batch: expected a positive whole number, got '0.5'"],
    ['training in int8', ['--only', 'training', '--precision', 'int8'], 'training is not done in int8'],
    ['an unknown option', ['--fast'], "Unknown option '--fast'"],
  ])('%s is refused', async (_what, args, message) => {
    const { code, stdout, stderr } = await bench(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })

  test('a row names ours, each peer, the best and the ratio; what cannot be done says why', async () => {
    const env = { ...BARE, BENCH_PEERS: join(folder.path, 'none') }
    const { code, stdout } = await bench([...SHORT, '--peers', 'openvino', '--json'], env)
    expect(code).toBe(0)
    const { rows, leftOut, weights } = JSON.parse(stdout)
    expect(weights).toBe('random')
    expect(rows).toEqual([
      expect.objectContaining({ work: 'inference', precision: 'f32', batch: 2, ours: expect.any(Number) }),
    ])
    expect(rows[0]).toMatchObject({ peers: { openvino: null }, best: null, ratio: null, spread: null })
    expect(rows[0].details.openvino.problem).toBe('not installed')
    expect(leftOut).toEqual([
      { precision: 'bf16', reason: expect.stringContaining('AVX512_BF16') },
      { precision: 'int8', reason: expect.stringContaining('reference data') },
    ])
  })

  test('ours with a batch on all threads and with one on each: the better of the two counts', async () => {
    const env = { ...BARE, BENCH_PEERS: join(folder.path, 'none') }
    const args = [...SHORT, '--threads', '2', '--peers', 'none', '--precision', 'f32', '--json']
    const [row] = JSON.parse((await bench(args, env)).stdout).rows
    const { googlenet, 'googlenet-throughput': streams } = row.details
    for (const way of [googlenet, streams]) {
      expect(way).toMatchObject({ problem: null, rounds: [expect.any(Number)], difference: expect.any(Number) })
    }
    expect(row.ours).toBe(Math.max(googlenet.imagesPerSecond, streams.imagesPerSecond))
    expect(row.peers).toEqual({})
  })

  test('a peer that computes something else is reported, not timed', async () => {
    const peers = join(folder.path, 'wrong')
    await mkdir(join(peers, 'venv/lib/python3/site-packages/openvino'), { recursive: true })
    await mkdir(join(peers, 'venv/bin'))
    const python = join(peers, 'venv/bin/python')
    const output = Buffer.from(new Float32Array(2000).fill(0.5).buffer).toString('base64')
    await writeFile(
      python,
      `#!${process.execPath}
require('node:readline').createInterface({ input: process.stdin }).on('line', () => console.log('{"output":"${output}"}'))`,
    )
    await chmod(python, 0o755)
    const args = [...SHORT, '--precision', 'f32', '--peers', 'openvino']
    const { code, stdout } = await bench(args, { ...BARE, BENCH_PEERS: peers })
    expect(code).toBe(0)
    expect(stdout).toMatch(/openvino +wrong result: probabilities differ by 5\.0e-1/)
    expect(stdout).toMatch(/^\| inference f32, batch 2 \| \d+\.\d(?: \(streams\))? \| none \| {2}\| {2}\| {2}\|$/m)
  })
})

describe('what the bench concludes', () => {
  test('the ratio is the median of the rounds, of our best to the peer of the highest median', async () => {
    const { compare } = await load('lib/statistics.mjs')
    const peers = [
      { name: 'slow', speeds: [1, 9, 1] },
      { name: 'fast', speeds: [2, 4, 5] },
    ]
    const ours = [
      { name: 'calm', speeds: [4, 4, 20] },
      { name: 'uneven', speeds: [30, 3, 3] },
    ]
    expect(compare(ours, peers)).toEqual({ ourBest: 'calm', best: 'fast', ratio: 2, spread: [1, 4] })
    const none = { ratio: null, spread: null }
    expect(compare([{ name: 'failed', speeds: [] }], peers)).toEqual({ ourBest: null, best: 'fast', ...none })
    expect(compare(ours, [{ name: 'failed', speeds: [] }])).toEqual({ ourBest: 'calm', best: null, ...none })
  })

  test.each([
    ['f32', 1e-4],
    ['bf16', 3e-2],
    ['int8', 0.2],
  ])('probabilities in %s may differ by %f of the largest', async (precision, part) => {
    const { checkOutput } = await load('lib/check.mjs')
    const expected = new Float32Array(1000)
    expected[7] = 0.5
    const off = (difference: number) => Float32Array.from(expected, (value, i) => value + (i === 3 ? difference : 0))
    expect(checkOutput(off(0.45 * part), expected, precision)).toBeCloseTo(0.45 * part, 6)
    expect(() => checkOutput(off(0.55 * part), expected, precision)).toThrow('wrong result')
    expect(() => checkOutput(off(Number.NaN), expected, precision)).toThrow('wrong result')
  })

  test('a label ranks behind the more probable, and behind its equals that come first', async () => {
    const { rank } = await load('lib/accuracy.mjs')
    const row = Float32Array.of(0.1, 0.4, 0.1, 0.4)
    expect([0, 1, 2, 3].map((label) => rank(row, label))).toEqual([2, 0, 3, 1])
    expect(rank(Float32Array.of(Number.NaN, 0.5), 0)).toBe(2)
  })
})
