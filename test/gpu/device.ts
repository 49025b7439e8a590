/** The GPU of this machine as the built package sees it, or why there is none. */
import type { DeviceInfo } from '../../lib/index.js'
import { nativeAbsent } from '../ops/process.js'

async function find(): Promise<Pick<DeviceInfo, 'available' | 'description'>> {
  if (nativeAbsent) return { available: false, description: 'not built' }
  const { devices } = (await import(new URL('../../dist/device.js', import.meta.url).href)) as {
    devices: () => DeviceInfo[]
  }
  return devices().find(({ device }) => device === 'cuda')!
}

export const gpu = await find()
