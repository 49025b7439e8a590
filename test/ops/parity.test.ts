/**
 * Every case natively, under each instruction set and once with direct convolutions only, against the float64
 * reference; see parity.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cases } from './cases.js'
import { lrnAfterConcat } from './networks.js'
import { expectParity, solveCase } from './parity.js'
import { makeProblem } from './problem.js'
import { type IsaName, isaNames, NativeProcess, nativeAbsent, nativeSkipReason } from './process.js'

const ways = [...isaNames.map((isa) => ({ isa, exact: false })), { isa: 'best', exact: true }]

describe.skipIf(nativeAbsent).each(ways as { isa: IsaName; exact: boolean }[])(
  `parity, $isa, exact $exact${nativeSkipReason}`,
  ({ isa, exact }) => {
    let native: NativeProcess
    beforeAll(() => {
      native = new NativeProcess(isa)
    })
    afterAll(() => native[Symbol.asyncDispose]())

    test.each(cases)('$name', (entry) => expectParity(native, entry, { exact }))

    test('channels that are not contiguous are refused where their neighbourhood matters', async () => {
      const rows = lrnAfterConcat(13, 6)
      const { parameters, inputs } = makeProblem({ name: 'refused', rows, batch: 1 })
      const run = native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })
      await expect(run).rejects.toThrow(/GOOGLENET_ERR_UNSUPPORTED.*'y'.*concat/)
    })

    test('the instruction set is the one asked for', async () => {
      const { rows, parameters, inputs } = solveCase(cases[0]!).problem
      const { isa: actual } = await native.run({ rows, parameters, inputs, training: false, outputs: ['y'] })
      if (isa === 'best') expect(['avx512', 'avx2', 'portable']).toContain(actual)
      else expect(actual).toBe(isa)
    })
  },
)
