/**
 * The GPU of this machine as the built package sees it, or why there is none. With GOOGLENET_PREBUILD and GOOGLENET_CUDNN
 * naming the simulated device (`npm run test:gpu:simulated`) the tests of this folder prove themselves: smaller where
 * they must be, and every title says that no GPU was there.
 */
import type { DeviceInfo } from '../../lib/index.js'
import type { Precision } from '../../lib/native.js'
import { nativeAbsent, type Place } from '../ops/process.js'

async function find(): Promise<Pick<DeviceInfo, 'available' | 'description'>> {
  if (nativeAbsent) return { available: false, description: 'not built' }
  const { devices } = (await import(new URL('../../dist/device.js', import.meta.url).href)) as {
    devices: () => DeviceInfo[]
  }
  return devices().find(({ device }) => device === 'cuda')!
}

const { available, description } = await find()
const simulated = description.includes('simulated device')
const kind = simulated ? 'NO GPU, simulated' : 'GPU'

export const gpu = {
  available,
  simulated,
  /** Of a suite. */
  title: (what: string) => `${what}, ${kind}: ${description}${available ? '' : ' (skipped)'}`,
  place: (precision: Precision): Place => ({ env: {}, options: { device: 'cuda', precision } }),
}
