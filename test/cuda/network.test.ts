/** Whole networks on the simulated device; see networks.ts. */
import { beforeAll, describe } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { testNetworks } from './networks.js'

describe.skipIf(nativeAbsent)(`networks on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  testNetworks(simulated())
})

// What was seen, with room for another order of sums.
describe.skipIf(nativeAbsent).each([
  ['tf32', { loss: 5e-4, gradientNorm: 2e-2, probabilities: 5e-4, caffe: 1e-3 }],
  ['bf16', { loss: 5e-3, gradientNorm: 1e-1, probabilities: 5e-3, caffe: 1e-2 }],
] as const)(`networks on simulated CUDA in %s${nativeSkipReason}`, (precision, bounds) => {
  beforeAll(buildSimulator, 600_000)
  testNetworks(simulated({ precision }), bounds)
})
