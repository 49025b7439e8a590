/**
 * What the weight tests share: a temporary folder per test, a seeded generator, the expected-error check, and the
 * reference data with the reason when it is absent.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import type { Tensor, TensorMap } from '../../lib/weights/safetensors.js'

export const dataFolder = resolve(process.env.GOOGLENET_DATA ?? '../shared/data')
export const noData = !existsSync(join(dataFolder, 'weights/bvlc_googlenet.safetensors'))
export const needsData = `(needs the reference data: GOOGLENET_DATA or ../shared/data${noData ? ', absent' : ''})`

/** Returns the folder of the running test; it is removed afterwards. */
export function useTemporaryFolder(): () => string {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'googlenet-weights-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })
  return () => folder
}

/** mulberry32: uniform in [0, 1). */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function tensor(shape: number[], value: (index: number) => number = (index) => index): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
  return { shape, data: data.map((_, index) => value(index)) }
}

/** Compares names, shapes and bits, NaN payloads included. */
export function expectSameTensors(got: ReadonlyMap<string, Tensor>, expected: TensorMap): void {
  expect([...got.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, { shape, data }] of expected) {
    const other = got.get(name) as Tensor
    expect(other.shape, name).toEqual(shape)
    expect(bytesOf(other).equals(bytesOf({ shape, data })), `${name}: bits differ`).toBe(true)
  }
}

export function bytesOf({ data }: Tensor): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

/** The promise must reject with GOOGLENET_ERR_<code> and a message that matches. */
export async function expectError(promise: Promise<unknown>, code: string, message: RegExp): Promise<Error> {
  const error = await promise.then(
    () => expect.fail(`expected GOOGLENET_ERR_${code}, but it resolved`),
    (reason: Error) => reason,
  )
  expect(error).toMatchObject({ name: 'GoogLeNetError', code: `GOOGLENET_ERR_${code}` })
  expect(error.message).toMatch(message)
  return error
}
