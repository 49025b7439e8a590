/** Whole networks on the simulated device; see networks.ts. */
import { beforeAll, describe } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { testNetworks } from './networks.js'

describe.skipIf(nativeAbsent)(`networks on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  testNetworks(simulated())
})
