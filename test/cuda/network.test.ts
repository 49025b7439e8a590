/** Whole networks on the simulated device; see networks.ts. */
import { beforeAll, describe } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { testNetworks } from './networks.js'

describe.skipIf(nativeAbsent)(`networks on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  testNetworks(simulated())
})

// Twice what was seen or more: at a rate that makes losses jump, ten steps carry every rounding on. Seen, tf32 and bf16:
// losses 2.7e-3 and 1.0e-2, gradient norms 4.9e-2 both, Caffe's probabilities 1.5e-3 and 4.7e-3 (the largest is 0.69).
describe.skipIf(nativeAbsent).each([
  ['tf32', { loss: 8e-3, gradientNorm: 0.15, probabilities: 5e-3, caffe: 3e-3 }],
  ['bf16', { loss: 2.5e-2, gradientNorm: 0.15, probabilities: 1e-2, caffe: 1e-2 }],
] as const)(`networks on simulated CUDA in %s${nativeSkipReason}`, (precision, bounds) => {
  beforeAll(buildSimulator, 600_000)
  testNetworks(simulated({ precision }), bounds)
})
