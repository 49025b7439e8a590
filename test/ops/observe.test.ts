/** What the native side counts of values behind ReLUs, against plain loops over the same values. */
import { afterEach, describe, expect, test } from 'vitest'
import type { LayerRow } from '../../lib/model/layer.js'
import { type NativeInput, type NativeSession, native, type Observation } from '../../lib/native.js'

const rows: LayerRow[] = [
  { op: 'input', name: 'data', channels: 3, height: 13, width: 11 },
  { op: 'conv', name: 'stem', src: 'data', outputs: 20, kernel: 3, pad: 1, relu: true },
  { op: 'conv', name: 'linear', src: 'stem', outputs: 8, kernel: 1 },
  { op: 'conv', name: 'one', src: 'linear', outputs: 5, kernel: 1, relu: true },
  { op: 'conv', name: 'three', src: 'linear', outputs: 16, kernel: 3, pad: 1, relu: true },
  { op: 'concat', name: 'both', src: ['one', 'three'] },
  { op: 'conv', name: 'head', src: 'both', outputs: 8, kernel: 1, relu: true, phase: 'train' },
  { op: 'linear', name: 'classifier', src: 'both', outputs: 4, relu: true },
]
const OBSERVED = ['stem', 'one', 'three']

function batch(count: number, seed: number, scale = 1): NativeInput {
  const data = Float32Array.from({ length: count * 3 * 13 * 11 }, (_, i) => scale * Math.sin(i * seed + seed))
  return { shape: [count, 3, 13, 11], data }
}

const sessions: NativeSession[] = []
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.dispose())))
async function open(precision: 'f32' | 'bf16' = 'f32') {
  const session = new (native().Session)({ layers: rows, threads: 2, precision })
  sessions.push(session)
  await session.initialize(7)
  return session
}

/** All values of all batches, one after the other. */
async function expected(session: NativeSession, batches: readonly NativeInput[], range: (blob: string) => number) {
  const result: Record<string, Observation> = {}
  for (const blob of OBSERVED) {
    const histogram = new Float64Array(2048)
    const sums: number[] = []
    let [max, images, pixels] = [0, 0, 0]
    for (const input of batches) {
      const request = { inputs: { data: input }, training: false, outputs: [blob] }
      const { shape, data } = (await session.run(request)).outputs[blob]!
      images += shape[0]!
      pixels = shape[2]! * shape[3]!
      data.forEach((value, i) => {
        const channel = Math.floor(i / pixels) % shape[1]!
        sums[channel] = (sums[channel] ?? 0) + value
        max = Math.max(max, value)
        if (value > 0) histogram[Math.floor((value * 2048) / range(blob))]!++
      })
    }
    const mean = Float32Array.from(sums, (sum) => sum / (images * pixels))
    result[blob] = { images, max, range: range(blob), histogram, mean }
  }
  return result
}

function expectEqual(got: Record<string, Observation>, wanted: Record<string, Observation>) {
  expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort())
  for (const [blob, { mean, ...exact }] of Object.entries(wanted)) {
    const { mean: means, ...counted } = got[blob]!
    expect(counted).toEqual(exact)
    expect(means).toHaveLength(mean.length)
    // The order of the sums differs, in f64.
    for (const [channel, value] of mean.entries()) expect(means[channel]).toBeCloseTo(value, 6)
  }
}

describe.each(['f32', 'bf16'] as const)('%s', (precision) => {
  test('values are counted as plain loops do, whatever comes first', async ({ skip }) => {
    const session = await open(precision).catch((error) =>
      error.code === 'GOOGLENET_ERR_UNSUPPORTED' ? skip() : error,
    )
    // The third is ten times as large: ranges double thrice or four times.
    const batches = [batch(3, 0.7), batch(1, 0.3), batch(2, 0.9, 10)]
    for (const input of batches) await session.observe(input)
    const got = await session.observations()
    for (const { max, range } of Object.values(got) as Observation[]) {
      expect(Number.isInteger(Math.log2(range))).toBe(true)
      expect(range).toBeGreaterThan(max)
      expect(range / 2).toBeLessThanOrEqual(max)
    }
    expectEqual(got, await expected(session, batches, (blob) => got[blob]!.range))

    for (const input of batches.toReversed()) await session.observe(input)
    expectEqual(await session.observations(), got)
  })
})

test('what was counted is told once', async () => {
  const session = await open()
  expect(await session.observations()).toEqual({})
  await session.observe(batch(1, 0.7))
  expect(Object.keys(await session.observations())).toHaveLength(3)
  expect(await session.observations()).toEqual({})
})

test('blobs that are 0 throughout have no range', async () => {
  const session = await open()
  const zeros = (length: number, shape: number[]) => ({ shape, data: new Float32Array(length) })
  await session.setParameters('weights', { 'one.weight': zeros(40, [5, 8, 1, 1]), 'one.bias': zeros(5, [5]) })
  await session.observe(batch(2, 0.7))
  const { one, three } = await session.observations()
  expect(one).toEqual({ images: 2, max: 0, range: 0, histogram: new Float64Array(2048), mean: new Float32Array(5) })
  expect(three!.max).toBeGreaterThan(0)
})

test('a value that is not finite is an error with the blob, and all is forgotten', async () => {
  const session = await open()
  await session.observe(batch(2, 0.7))
  const bad = batch(2, 0.7)
  bad.data[500] = Number.POSITIVE_INFINITY
  const error = await session.observe(bad).catch((error) => error)
  expect(error).toMatchObject({ code: 'GOOGLENET_ERR_NOT_FINITE', message: expect.stringContaining("'stem'") })
  expect(await session.observations()).toEqual({})
})

test('an aborted run counts nothing; a bad batch is refused', async () => {
  const session = await open()
  const cancel = new (native().Cancel)()
  cancel.cancel()
  await expect(session.observe(batch(1, 0.7), cancel)).rejects.toMatchObject({ code: 'GOOGLENET_ERR_ABORTED' })
  const narrow = { shape: [1, 3, 13, 10], data: new Float32Array(390) }
  await expect(session.observe(narrow)).rejects.toMatchObject({ code: 'GOOGLENET_ERR_INVALID_SHAPE' })
  await expect(session.observe({} as NativeInput)).rejects.toMatchObject({ code: 'GOOGLENET_ERR_INVALID_ARGUMENT' })
  expect(await session.observations()).toEqual({})
})

test('observing changes no weights and no later value', async () => {
  const session = await open()
  const request = { inputs: { data: batch(2, 0.4) }, training: false, outputs: ['classifier'] }
  const before = [await session.getParameters('weights'), await session.run(request)]
  await session.observe(batch(2, 0.7))
  expect([await session.getParameters('weights'), await session.run(request)]).toEqual(before)
})
