/** Whole networks on the simulated device; see networks.ts. */
import { beforeAll, describe } from 'vitest'
import { simulatedTolerances } from '../gpu/tolerances.js'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, simulated } from '../simulator/simulator.js'
import { testNetworks } from './networks.js'

describe.skipIf(nativeAbsent)(`networks on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  testNetworks(simulated())
})

describe.skipIf(nativeAbsent).each(['tf32', 'bf16'] as const)(
  `networks on simulated CUDA in %s${nativeSkipReason}`,
  (precision) => {
    beforeAll(buildSimulator, 600_000)
    testNetworks(simulated({ precision }), simulatedTolerances[precision])
  },
)
