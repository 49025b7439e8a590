/** Dropout: how often it drops, the same mask backward as forward, and what its random numbers depend on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LayerRow } from '../../lib/model/layer.js'
import type { SessionOptions } from '../../lib/native.js'
import { input } from './case.js'
import { relativeError } from './compare.js'
import { makeProblem, solve } from './problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from './process.js'

const shape = [5, 37, 7, 3]
const count = 5 * 37 * 7 * 3
const ones = { shape, data: new Float32Array(count).fill(1) }

describe.skipIf(nativeAbsent)(`dropout${nativeSkipReason}`, () => {
  let native: NativeProcess
  beforeAll(() => {
    native = new NativeProcess()
  })
  afterAll(() => native[Symbol.asyncDispose]())

  async function masks(ratio: number, step: number, options: Omit<SessionOptions, 'layers'> = {}, training = true) {
    const rows: LayerRow[] = [
      input('x', 37, 7, 3),
      { op: 'dropout', name: 'a', src: 'x', ratio },
      { op: 'dropout', name: 'b', src: 'x', ratio },
    ]
    const backward = training && {
      gradients: { a: ones, b: { shape, data: new Float32Array(count) } },
      inputGradients: ['x'],
    }
    const result = await native.run({
      rows,
      parameters: {},
      inputs: { x: ones },
      training,
      outputs: ['a', 'b'],
      ...backward,
      step,
      options: { seed: 1, ...options },
    })
    return { a: result.outputs.a!.data, b: result.outputs.b!.data, gradient: result.inputGradients.x?.data }
  }

  test.each([0.1, 0.4, 0.5, 0.7])('drops %f of the values and scales the others', async (ratio) => {
    const { a } = await masks(ratio, 0)
    const kept = a.filter((value) => value !== 0)
    for (const value of kept) expect(value).toBeCloseTo(1 / (1 - ratio), 6)
    // Five standard deviations of a binomial count.
    expect(Math.abs(kept.length - count * (1 - ratio))).toBeLessThan(5 * Math.sqrt(count * ratio * (1 - ratio)))
  })

  test('no image, channel or row is dropped as one', async () => {
    const { a } = await masks(0.5, 0)
    const agreement = (distance: number) => {
      let same = 0
      for (let i = 0; i + distance < count; i++) if ((a[i] === 0) === (a[i + distance] === 0)) same++
      return same / (count - distance)
    }
    for (const distance of [1, 3, 21, 8 * 21, 16 * 21, 37 * 21]) {
      expect(Math.abs(agreement(distance) - 0.5), `distance ${distance}`).toBeLessThan(
        (5 * 0.5) / Math.sqrt(count - 37 * 21),
      )
    }
  })

  test('the gradient passes the same mask', async () => {
    const { a, gradient } = await masks(0.4, 7)
    expect(gradient).toEqual(a)
  })

  test('the mask follows from seed, layer and step alone', async () => {
    const { a, b } = await masks(0.4, 7)
    expect(b).not.toEqual(a)
    expect((await masks(0.4, 7)).a).toEqual(a)
    expect((await masks(0.4, 7, { threads: 1 })).a).toEqual(a)
    expect((await masks(0.4, 8)).a).not.toEqual(a)
    expect((await masks(0.4, 7, { seed: 2 })).a).not.toEqual(a)
  })

  test('inference is the identity', async () => {
    expect((await masks(0.7, 0, {}, false)).a).toEqual(ones.data)
  })

  test('between two linear layers, with the mask that was drawn', async () => {
    const rows: LayerRow[] = [
      input('x', 13, 3),
      { op: 'linear', name: 'f', src: 'x', outputs: 21 },
      { op: 'dropout', name: 'd', src: 'f', ratio: 0.5 },
      { op: 'linear', name: 'y', src: 'd', outputs: 6 },
    ]
    const problem = makeProblem({
      name: 'dropout between',
      rows: rows.map((row) => (row.op === 'dropout' ? { ...row, ratio: 0 } : row)),
      batch: 3,
    })
    problem.rows = rows
    const { parameters, inputs, gradients, inputGradients } = problem
    const actual = await native.run({
      rows,
      parameters,
      inputs,
      gradients,
      inputGradients,
      training: true,
      outputs: ['d', 'y'],
      options: { keepAll: true },
    })
    const mask = Float64Array.from(actual.outputs.d!.data, (value) => (value === 0 ? 0 : 2))
    expect(mask).toContain(0)
    const expected = solve(problem, true, { d: mask })
    for (const name of ['d', 'y'])
      expect(relativeError(actual.outputs[name]!.data, expected.blobs[name]!.data)).toBeLessThan(1e-5)
    expect(relativeError(actual.inputGradients.x!.data, expected.blobGradients.x!.data)).toBeLessThan(1e-5)
    for (const [name, data] of Object.entries(expected.parameterGradients)) {
      expect(relativeError(actual.parameterGradients[name]!.data, data), name).toBeLessThan(1e-5)
    }
  })
})
