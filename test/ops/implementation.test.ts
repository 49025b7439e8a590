/**
 * Which kernels the whole network runs on. oneDNN falls back silently to reference code (1 GFLOP/s) on layouts it
 * has no kernel for, and its library here holds no compiled GEMM, whose name then stands for such code too.
 */
import { describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from './process.js'

/** 'ref:any', 'x64:gemm:jit', 'gemm:jit'; but neither 'brgemm:avx512_core' nor 'brg_matmul:avx512_core'. */
const slow = /\bref|(?<!br)gemm/

test('slow names are told apart', () => {
  for (const name of ['ref:any', 'x64:gemm:jit', 'gemm:jit', 'ref_int8:any']) expect(name).toMatch(slow)
  for (const name of [
    'jit:avx512_core',
    'jit_1x1:avx512_core',
    'brg_matmul:avx512_core',
    'brgemm:avx2',
    'brgconv:avx512_core',
    'winograd:avx2',
    'own:portable',
  ]) {
    expect(name).not.toMatch(slow)
  }
})

const ways = [
  { isa: 'best', exact: false },
  { isa: 'avx2', exact: false },
  { isa: 'avx2', exact: true },
] as const
describe.skipIf(nativeAbsent).each(ways)(`implementations, $isa, exact $exact${nativeSkipReason}`, ({ isa, exact }) => {
  // At 64 pixels windows are larger than the last maps (5x5 on 4x4, 3x3 on 2x2).
  const inputSize = 64
  test.each([
    ['inference', googlenet({ auxiliary: false }), 1, false],
    ['inference, naive modules', googlenet({ auxiliary: false, block: 'naive' }), 1, false],
    ['training', googlenet(), 2, true],
    ['training, narrow', googlenet({ width: 0.25, inputSize, classes: 8 }), 2, true],
    ['training, naive modules', googlenet({ width: 0.25, inputSize, classes: 8, block: 'naive' }), 2, true],
  ] as const)('%s', async (_title, rows, batch, training) => {
    await using native = new NativeProcess(isa)
    const { kernels } = await native.profile({ rows, batch, training, options: { exact } })
    expect(kernels.length).toBeGreaterThan(40)
    const named = kernels.map(({ name, direction, implementation }) => `${name} ${direction}: ${implementation}`)
    expect(named.filter((line) => slow.test(line.split(': ')[1]!))).toEqual([])
  })
})

describe.skipIf(nativeAbsent).each(['best', 'avx2', 'portable'] as const)(`Winograd, %s${nativeSkipReason}`, (isa) => {
  const window = /\/(3x3|5x5)$/
  const rows = googlenet({ width: 0.25, classes: 8 })

  test('all windows of 3x3 and 5x5, in all directions, and nothing else', async () => {
    await using native = new NativeProcess(isa)
    const kernels = (await native.profile({ rows, batch: 3, training: true })).kernels.filter(({ op }) => op === 'conv')
    const byWinograd = kernels.filter(({ implementation }) => implementation.startsWith('winograd:'))
    expect(byWinograd.length).toBe(3 * (1 + 2 * 9))
    expect(byWinograd).toEqual(kernels.filter(({ name }) => window.test(name)))
  })
})

test.skipIf(nativeAbsent)(`exact: no Winograd${nativeSkipReason}`, async () => {
  await using native = new NativeProcess()
  const { kernels } = await native.profile({
    rows: googlenet({ auxiliary: false, inputSize: 64 }),
    batch: 1,
    training: false,
    options: { exact: true },
  })
  expect(kernels.filter(({ implementation }) => implementation.startsWith('winograd:'))).toEqual([])
})
