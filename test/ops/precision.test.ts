/**
 * bf16 on the processor: every case of the operations suite, each layer held against the float64 reference of what the
 * processor itself computed before it, and the gradients against the reference that decides as it did.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import { simulatedTolerances } from '../gpu/tolerances.js'
import { cases } from './cases.js'
import { expectPrecision } from './precision.js'
import { makeProblem } from './problem.js'
import { isaEnvironments, NativeProcess, nativeAbsent, nativeSkipReason, processorHas } from './process.js'

const noBf16 = nativeAbsent || !processorHas('avx512_bf16')
const reason = nativeAbsent ? nativeSkipReason : noBf16 ? ' (skipped: a processor without AVX512_BF16)' : ''

const ways = {
  best: {},
  'without AMX': { GOOGLENET_MAX_ISA: 'avx512', ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_BF16' },
}
const bf16 = (env: Record<string, string>) => ({ env, options: { precision: 'bf16' as const } })

describe.skipIf(noBf16).each(Object.entries(ways))(`bf16 on the processor, %s${reason}`, (_title, env) => {
  let native: NativeProcess
  beforeAll(() => {
    native = new NativeProcess(bf16(env))
  })
  afterAll(() => native[Symbol.asyncDispose]())

  test.each(cases)('$name', (entry) => expectPrecision(native, makeProblem(entry), simulatedTolerances.bf16))

  test.each([
    ['inference', googlenet({ auxiliary: false }), 1, false],
    ['training', googlenet(), 2, true],
    ['training, narrow', googlenet({ width: 0.25, inputSize: 64, classes: 8 }), 2, true],
  ] as const)('no reference code, %s', async (_name, rows, batch, training) => {
    const { kernels } = await native.profile({ rows, batch, training })
    const named = kernels.map(({ name, direction, implementation }) => `${name} ${direction}: ${implementation}`)
    expect(named.length).toBeGreaterThan(40)
    expect(named.filter((line) => /\bref|(?<!br)gemm/.test(line.split(': ')[1]!))).toEqual([])
  })
})

describe.skipIf(nativeAbsent)(`processors without bf16${nativeSkipReason}`, () => {
  test.each(['avx2', 'portable'] as const)('%s: refused, and what to do', async (isa) => {
    await using native = new NativeProcess({ env: isaEnvironments[isa], options: { precision: 'bf16' } })
    const { rows, parameters, inputs } = makeProblem(cases[0]!)
    const run = native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })
    await expect(run).rejects.toThrow(new RegExp(`GOOGLENET_ERR_UNSUPPORTED.*AVX512_BF16.*${isa}.*use f32`))
  })
})
