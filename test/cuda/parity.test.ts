/**
 * The operations suite on the simulated device: the same sources as on a GPU, against the float64 reference. All ways
 * that convolutions can take, since which of them a real cuDNN takes depends on the card.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cases } from '../ops/cases.js'
import { expectParity, solveCase } from '../ops/parity.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'

const networkCases = cases.filter(({ name }) => name.startsWith('network: '))
const withWeights = cases.filter(({ rows }) => rows.some(({ op }) => op === 'conv' || op === 'linear'))

describe.skipIf(nativeAbsent).each([
  ['fused', cases],
  ['apart', networkCases],
  ['plain', withWeights],
  ['packed', withWeights],
] as const)(`simulated CUDA, convolutions %s${nativeSkipReason}`, (way, list) => {
  let native: NativeProcess
  beforeAll(() => {
    buildSimulator()
    native = new NativeProcess(simulated({ way }))
  }, 600_000)
  afterAll(() => native[Symbol.asyncDispose]())

  test.each(list)('$name', (entry) => expectParity(native, entry))

  test('goes that way', async () => {
    const { rows } = solveCase(cases.find(({ name }) => name === 'network: GoogLeNet in miniature')!).problem
    const { kernels } = await native.profile({ rows, batch: 2, training: true })
    const ways = kernels
      .filter(({ op }) => op === 'conv' || op === 'linear')
      .map(({ implementation }) => implementation)
    expect(ways.length).toBeGreaterThan(40)
    // Where nothing is a slice, nothing needs packing; what masks nothing needs no mask apart.
    const others = { packed: ['plain'], apart: ['fused'], plain: [], fused: [] }[way]
    expect(new Set(ways.map((text) => text.split(/[ ,]/)[1]))).toEqual(new Set([way, ...others]))
  })
})
