/**
 * Which device computes, and why: 'cuda' throws when it cannot be had, with what is missing; 'auto' takes the processor
 * then and says so. Also the facts about devices that `devices()` and `googlenet doctor` report.
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

const CUDA = /^cuda(:\d{1,3})?$/

/** Descriptions. Opening a GPU takes a while and its libraries stay: once is enough. */
const opened = new Map<CudaDevice, string>()
/** What 'auto' is: a GPU that is missing is looked for once, too. */
let automatic: DeviceChoice | undefined

/** @throws GOOGLENET_ERR_DEVICE_UNAVAILABLE, GOOGLENET_ERR_INVALID_ARGUMENT */
export function chooseDevice(wanted: Device = 'auto'): DeviceChoice {
  const fromOutside = wanted === 'auto' && process.env.GOOGLENET_DEVICE
  if (!fromOutside) return choose('device', wanted, 'asked for')
  return choose('GOOGLENET_DEVICE', fromOutside, 'asked for by GOOGLENET_DEVICE')
}

function choose(name: string, wanted: string, deviceReason: string): DeviceChoice {
  if (wanted === 'auto') {
    automatic ??= findDevice()
    return automatic
  }
  if (wanted === 'cpu') return { device: wanted, deviceReason }
  if (!isCuda(wanted)) throw invalid(name, "'auto', 'cpu', 'cuda' or 'cuda:N'", wanted)
  checkAvailable(wanted, "Use device 'cpu' meanwhile")
  return { device: wanted, deviceReason }
}

function findDevice(): DeviceChoice {
  try {
    return { device: 'cuda', deviceReason: `'auto' takes a GPU where there is one: ${open('cuda')}` }
  } catch (error) {
    return { device: 'cpu', deviceReason: `'auto' found no GPU that can be used: ${(error as Error).message}` }
  }
}

const isCuda = (name: string): name is CudaDevice => CUDA.test(name)

/**
 * The device of a worker: of the kind of its model's, since only such devices reach each other's memory.
 *
 * @throws GOOGLENET_ERR_DEVICE_UNAVAILABLE, GOOGLENET_ERR_INVALID_ARGUMENT
 */
export function checkWorkerDevice(name: string, wanted: ComputeDevice, model: ComputeDevice): ComputeDevice {
  if (model === 'cpu' ? wanted !== 'cpu' : !isCuda(wanted)) {
    const expected = model === 'cpu' ? "'cpu'" : "'cuda' or 'cuda:N'"
    throw invalid(name, `${expected}, as the model is on '${model}' (see its option 'device')`, wanted)
  }
  if (wanted !== 'cpu' && wanted !== model) checkAvailable(wanted, 'Let the workers do without it')
  return wanted
}

/** The device's description. */
function open(device: CudaDevice): string {
  const description = opened.get(device) ?? native().probe(device)
  opened.set(device, description)
  return description
}

function checkAvailable(device: CudaDevice, remedy: string): void {
  try {
    open(device)
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
