/**
 * The CUDA backend on a real GPU, `npm run test:gpu`: the operations suite against the float64 reference, whole networks
 * against the processor and Caffe. Skipped, with the reason, where there is none.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DeviceInfo } from '../../lib/index.js'
import { googlenet } from '../../lib/model/googlenet.js'
import { testNetworks } from '../cuda/networks.js'
import { cases } from '../ops/cases.js'
import { expectParity } from '../ops/parity.js'
import { NativeProcess, nativeAbsent, type Place } from '../ops/process.js'

const place: Place = { env: {}, options: { device: 'cuda' } }

/** As the built package sees it. */
async function findGpu(): Promise<DeviceInfo> {
  const { devices } = (await import(new URL('../../dist/device.js', import.meta.url).href)) as {
    devices: () => DeviceInfo[]
  }
  return devices().find(({ device }) => device === 'cuda')!
}
const { available, description } = nativeAbsent ? { available: false, description: 'not built' } : await findGpu()

describe.skipIf(!available)(`GPU: ${description}${available ? '' : ' (skipped)'}`, () => {
  let native: NativeProcess
  beforeAll(() => {
    native = new NativeProcess(place)
  })
  afterAll(() => native[Symbol.asyncDispose]())

  test.each(cases)('$name', { timeout: 120_000 }, (entry) => expectParity(native, entry))
  testNetworks(place)

  test('which way each convolution goes', async () => {
    const { kernels } = await native.profile({ rows: googlenet(), batch: 64, training: true })
    for (const { name, direction, implementation, milliseconds } of kernels)
      console.log(`${milliseconds.toFixed(3)} ms  ${name}, ${direction}: ${implementation}`)
    expect(kernels.length).toBeGreaterThan(200)
  })
})
