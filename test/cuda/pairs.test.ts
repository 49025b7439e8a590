/**
 * LRN and max pooling in one step on the simulated device, and masks inside convolutions: which layers are taken
 * together, and that the bits are those of single steps. Asking for the blob between two layers keeps them apart.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import { cases } from '../ops/cases.js'
import { makeProblem, sinksOf } from '../ops/problem.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'

/** The blobs between two layers that become one step, by case. */
const pairs = {
  'pool, then lrn': ['p'],
  'lrn, then pool': ['n'],
  'lrn and pool in both orders, padded, among other readers': ['p', 'n'],
  'lrn and pool of an input, in a row of pools': ['n', 'm'],
  'lrn and pool that are no pair': [],
  'GoogLeNet in miniature': ['pool1'],
}

describe.skipIf(nativeAbsent).each(['f32', 'tf32', 'bf16'] as const)(
  `layers in one step on simulated CUDA in %s${nativeSkipReason}`,
  (precision) => {
    let native: NativeProcess
    beforeAll(() => {
      buildSimulator()
      native = new NativeProcess(simulated({ precision }))
    }, 600_000)
    afterAll(() => native[Symbol.asyncDispose]())

    test.each(Object.entries(pairs))('%s', async (name, between) => {
      const { rows, parameters, inputs, labels, gradients, inputGradients, batch } = makeProblem(
        cases.find((entry) => entry.name === `network: ${name}`)!,
      )
      for (const training of [false, true]) {
        const { kernels } = await native.profile({ rows, batch, training })
        const together = kernels.filter(({ op }) => op === 'lrn + pool' || op === 'pool + lrn')
        expect(together.filter(({ direction }) => direction === 'forward').length).toBe(between.length)
        const firsts = together.map((kernel) => kernel.name.split(' + ')[0])
        expect(new Set(firsts)).toEqual(new Set(between))

        const request = { rows, parameters, inputs, ...(labels.length > 0 && { labels }) }
        const backward = training ? { gradients, inputGradients } : {}
        const outputs = sinksOf(rows, training).map((row) => row.name)
        const run = (more: string[]) =>
          native.run({ ...request, ...backward, training, outputs: [...outputs, ...more] })
        const [one, two] = [await run([]), await run(between)]
        for (const output of outputs) expect(one.outputs[output], output).toEqual(two.outputs[output])
        if (!training) continue
        expect(Object.keys(one.parameterGradients).length).toBe(Object.keys(parameters).length)
        expect(one.parameterGradients).toEqual(two.parameterGradients)
        expect(one.inputGradients).toEqual(two.inputGradients)
        expect(one.losses).toEqual(two.losses)
      }
    })

    test('GoogLeNet has two such pairs, and masks apart only before dropout', async () => {
      const rows = googlenet({ width: 0.125, inputSize: 64 })
      const { kernels } = await native.profile({ rows, batch: 1, training: true })
      const names = (op: string) => kernels.filter((kernel) => kernel.op === op).map((kernel) => kernel.name)
      expect(names('pool + lrn')).toEqual(Array(2).fill('pool1/3x3_s2 + pool1/norm1'))
      expect(names('lrn + pool')).toEqual(Array(2).fill('conv2/norm2 + pool2/3x3_s2'))
      expect([names('lrn'), names('mask'), names('sum')]).toEqual([[], ['loss2/fc', 'loss1/fc'], []])
    })
  },
)
