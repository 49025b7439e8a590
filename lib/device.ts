/**
 * Which device computes, and why: 'cuda' throws when it cannot be had, 'auto' falls back once and says the reason,
 * nothing ever falls back silently. Also the facts about devices that `devices()` and `googlenet doctor` report.
 */
import { cpus } from 'node:os'
import { GoogLeNetError } from './errors.js'
import { type NativeModule, native } from './native.js'
import { invalid } from './options.js'

export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

export interface DeviceChoice {
  device: 'cpu'
  /** Why this device: what was asked for and, after a fallback, what was missing. */
  deviceReason: string
}
export interface DeviceInfo {
  device: 'cpu' | 'cuda'
  available: boolean
  /** Processor and kernels, or why the device cannot be used. */
  description: string
  /** Widest instruction set the kernels use. */
  isa?: 'avx512' | 'avx2' | 'portable'
  /** Threads a model gets by default: what affinity and cgroup quota allow. */
  threads?: number
}

const NO_CUDA = 'this version of googlenet has no CUDA backend'

/** @throws GOOGLENET_ERR_DEVICE_UNAVAILABLE, GOOGLENET_ERR_INVALID_ARGUMENT */
export function chooseDevice(wanted: Device = 'auto'): DeviceChoice {
  if (wanted === 'cpu') return { device: 'cpu', deviceReason: 'asked for' }
  if (wanted === 'auto') return { device: 'cpu', deviceReason: `no CUDA device: ${NO_CUDA}` }
  if (!/^cuda(:\d+)?$/.test(wanted)) throw invalid('device', "'auto', 'cpu', 'cuda' or 'cuda:N'", wanted)
  throw new GoogLeNetError(
    'GOOGLENET_ERR_DEVICE_UNAVAILABLE',
    `device '${wanted}' is not available: ${NO_CUDA}. Use device 'cpu', or 'auto' to fall back to it`,
  )
}

/** All devices this package knows, whether they can be used or not. */
export function devices(): DeviceInfo[] {
  const { isa, threads } = probe(native())
  const description = cpus()[0]?.model.trim() || process.arch
  return [
    { device: 'cpu', available: true, description, isa, threads },
    { device: 'cuda', available: false, description: NO_CUDA },
  ]
}

/** The processor's facts are those of a session, so the smallest one is asked. */
function probe({ Session }: NativeModule) {
  const session = new Session({
    layers: [
      { op: 'input', name: 'data', channels: 1, height: 1, width: 1 },
      { op: 'softmax', name: 'prob', src: 'data' },
    ],
  })
  const { isa, threads } = session
  void session.dispose()
  return { isa, threads }
}
