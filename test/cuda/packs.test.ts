/** Packs of channels, native/cuda/pack.h, and sums too long for the suite's small cases. */
import { beforeAll, describe, expect, test } from 'vitest'
import { type Case, input } from '../ops/case.js'
import { expectParity } from '../ops/parity.js'
import { NativeProcess, nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated, wrongPacks } from '../simulator/simulator.js'

describe.skipIf(nativeAbsent)(`packs on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)

  test('indices are divided and elements moved as one by one', () => expect(wrongPacks()).toBe(''))

  // 640 x 601 pixels: 523 strands of 23 pixels a thread, the last one short. The tolerance is for the simulated
  // convolution, whose sums in f32 are as long; a strand left out would be some 4 %.
  test('a bias that very many pixels read', { timeout: 120_000 }, async () => {
    const entry: Case = {
      name: 'conv of many pixels',
      rows: [input('x', 1, 640, 601), { op: 'conv', name: 'y', src: 'x', outputs: 3, kernel: 1 }],
      batch: 1,
      tolerance: 1e-4,
    }
    await using native = new NativeProcess(simulated())
    await expectParity(native, entry)
  })
})
