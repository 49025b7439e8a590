/**
 * Which device computes, and why: 'cuda' throws when it cannot be had, with what is missing; nothing ever falls back
 * silently. Also the facts about devices that `devices()` and `googlenet doctor` report.
 */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { GoogLeNetError } from './errors.js'
import { type ComputeDevice, type CudaDevice, type NativeModule, native } from './native.js'
import { invalid } from './options.js'

export type Device = 'auto' | ComputeDevice

export interface DeviceChoice {
  device: ComputeDevice
  /** Why this device: what was asked for, or what speaks against another. */
  deviceReason: string
}
export interface DeviceInfo {
  device: 'cpu' | 'cuda'
  available: boolean
  /** Processor and kernels, the GPU and its libraries, or why the device cannot be used. */
  description: string
  /** Widest instruction set the kernels use. */
  isa?: 'avx512' | 'avx2' | 'portable'
  /** Threads a model gets by default: what affinity and cgroup quota allow. */
  threads?: number
}

/** The CUDA backend has been proved on a simulated device only, so it is taken by name and never by default. */
const AUTO = "'auto' is the processor as long as no GPU has been seen to run the CUDA backend"

const CUDA = /^cuda(:\d{1,3})?$/

/** Opening a GPU takes a while and its libraries stay: once is enough. */
const opened = new Set<string>()

/** @throws GOOGLENET_ERR_DEVICE_UNAVAILABLE, GOOGLENET_ERR_INVALID_ARGUMENT */
export function chooseDevice(wanted: Device = 'auto'): DeviceChoice {
  if (wanted === 'cpu') return { device: 'cpu', deviceReason: 'asked for' }
  if (wanted === 'auto') return { device: 'cpu', deviceReason: AUTO }
  if (!CUDA.test(wanted)) throw invalid('device', "'auto', 'cpu', 'cuda' or 'cuda:N'", wanted)
  checkAvailable(wanted, "Use device 'cpu' meanwhile")
  return { device: wanted, deviceReason: 'asked for' }
}

/**
 * The device of a worker: of the kind of its model's, since only such devices reach each other's memory.
 *
 * @throws GOOGLENET_ERR_DEVICE_UNAVAILABLE, GOOGLENET_ERR_INVALID_ARGUMENT
 */
export function checkWorkerDevice(name: string, wanted: ComputeDevice, model: ComputeDevice): ComputeDevice {
  if (model === 'cpu' ? wanted !== 'cpu' : !CUDA.test(wanted)) {
    const expected = model === 'cpu' ? "'cpu'" : "'cuda' or 'cuda:N'"
    throw invalid(name, `${expected}, as the model is on '${model}' (see its option 'device')`, wanted)
  }
  if (wanted !== 'cpu' && wanted !== model) checkAvailable(wanted, 'Let the workers do without it')
  return wanted
}

function checkAvailable(device: CudaDevice, remedy: string): void {
  try {
    if (!opened.has(device)) native().probe(device)
    opened.add(device)
  } catch (cause) {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_DEVICE_UNAVAILABLE',
      `device '${device}' is not available: ${(cause as Error).message}. ${remedy}`,
      { cause },
    )
  }
}

/** All devices this package knows, whether they can be used or not. */
export function devices(): DeviceInfo[] {
  const { isa, threads } = facts(native())
  const description = cpus()[0]?.model.trim() || process.arch
  return [
    { device: 'cpu', available: true, description, isa, threads },
    { device: 'cuda', ...tryCuda() },
  ]
}

/** In a process of its own: a broken driver or cuDNN may end it. */
function tryCuda(): Pick<DeviceInfo, 'available' | 'description'> {
  const script = `
    const { native } = await import(${JSON.stringify(new URL('native.js', import.meta.url).href)})
    try { console.log(JSON.stringify({ available: true, description: native().probe('cuda') })) }
    catch (error) { console.log(JSON.stringify({ available: false, description: error.message })) }`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  try {
    return JSON.parse(child.stdout)
  } catch {
    const end = child.signal ?? child.error?.message ?? `exit code ${child.status}`
    const words = child.stderr?.trim().split('\n').at(-1)
    return { available: false, description: `opening it ended the process (${end})${words ? `: ${words}` : ''}` }
  }
}

/** The processor's facts are those of a session, so the smallest one is asked. */
function facts({ Session }: NativeModule) {
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
