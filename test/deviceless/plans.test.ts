/**
 * Every convolution of the network in every precision, planned by the real cuDNN for GPUs that are not here: which way it
 * goes, by which engine, with how much workspace. Held against a recorded file per cuDNN version. Takes minutes and
 * NVIDIA's wheels, so only in CI and on demand: `npm run test:plans`, or GOOGLENET_PLANS='h100, bf16' for one of them;
 * GOOGLENET_RECORD=1 writes the file.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, test, vi } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import type { Precision } from '../../lib/native.js'
import { NativeProcess, nativeAbsent, nativeSkipReason, type Place } from '../ops/process.js'

const asked = process.env.GOOGLENET_PLANS
const wanted = asked !== undefined && !nativeAbsent
const skipReason = wanted ? '' : nativeSkipReason || ' (skipped: slow, run npm run test:plans)'
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const devices: Record<string, object> = JSON.parse(readFileSync(path('devices.json'), 'utf8'))
const batch = 64

// Each compiles on all cores and holds a device's memory; the second one works where the first one cannot.
vi.setConfig({ maxConcurrency: 2 })

/** Implementation by step: '<layers>, <direction>'. */
type Plans = Record<string, string>
/** By direction, then implementation: the layers, with the commonest one's not listed. */
type Grouped = Record<string, Record<string, string>>
/** By device and precision. */
type Recorded = Record<string, Record<string, Grouped>>

const REST = 'all others'

/** The same facts in few lines. */
function group(plans: Plans): Grouped {
  const lists: Record<string, Record<string, string[]>> = {}
  for (const [step, implementation] of Object.entries(plans)) {
    const [, layers, direction] = /^(.*), ([^,]*)$/.exec(step)!
    lists[direction!] ??= {}
    lists[direction!]![implementation] ??= []
    lists[direction!]![implementation]!.push(layers!)
  }
  return Object.fromEntries(
    Object.entries(lists).map(([direction, list]) => {
      const sorted = Object.entries(list).sort(([, a], [, b]) => b.length - a.length)
      const lines = sorted.map(([text, layers], index) => [text, index === 0 ? REST : layers.join(', ')])
      return [direction, Object.fromEntries(lines)]
    }),
  )
}

describe.skipIf(!wanted)(`deviceless plans${skipReason}`, () => {
  let toolkit: string
  let cudnn: string
  let version: string
  beforeAll(async () => {
    const { wheels } = (await import(path('../../scripts/build-cuda.mjs'))) as {
      wheels: () => { toolkit: string; cudnn: string }
    }
    ;({ toolkit, cudnn } = wheels())
    execFileSync('sh', [path('build.sh'), toolkit, cudnn], { stdio: ['ignore', 'ignore', 'inherit'] })
    const header = readFileSync(`${cudnn}/include/cudnn_version.h`, 'utf8')
    version = ['MAJOR', 'MINOR', 'PATCHLEVEL'].map((part) => new RegExp(`${part} (\\d+)`).exec(header)?.[1]).join('.')
  }, 600_000)

  function place(device: string, precision: Precision): Place {
    const env = {
      GOOGLENET_PREBUILD: path('../../build/deviceless'),
      GOOGLENET_CUDNN: `${cudnn}/lib`,
      LD_LIBRARY_PATH: `${path('../../build/deviceless/driver')}:${toolkit}/lib`,
      DEVICELESS_PROPERTIES: JSON.stringify(devices[device]),
      SIMULATOR_IDLE: '1',
      SIMULATOR_MEMORY: '65536',
    }
    return { env, options: { device: 'cuda', precision } }
  }

  type Request = Parameters<NativeProcess['profile']>[0]
  async function plansOf(native: NativeProcess, request: Omit<Request, 'batch'>): Promise<Plans> {
    const { kernels } = await native.profile({ ...request, batch })
    const convolutions = kernels.filter(({ op }) => op === 'conv' || op === 'linear')
    return Object.fromEntries(
      convolutions.map(({ name, direction, implementation }) => [`${name}, ${direction}`, implementation]),
    )
  }

  const all = (['bf16', 'tf32', 'f32'] as const).flatMap((precision) =>
    Object.keys(devices).map((device) => [device, precision] as const),
  )
  const chosen = all.filter((pair) => asked === '1' || asked === undefined || asked === pair.join(', '))
  test.concurrent.for(chosen)('%s, %s', { timeout: 3_600_000 }, async ([device, precision], { expect, skip }) => {
    const file = path(`plans-${version}.json`)
    const read = (): Recorded => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {})
    const record = process.env.GOOGLENET_RECORD !== undefined
    if (!record && !read()[device]?.[precision]) skip(`not recorded for cuDNN ${version}`)
    await using native = new NativeProcess(place(device, precision))
    const network = { rows: googlenet(), key: 'network' }
    const plans = await plansOf(native, { ...network, training: true })
    for (const [name, plan] of Object.entries(plans)) {
      const [, way, cores, workspace] = /^cudnn:\d+ ([a-z-]+)(, tensor cores)?, workspace (\d+)$/.exec(plan)!
      // A plan on slices that wants as much as its operands copies them; the smallest of ours is 200 KiB in f32. Fused
      // gradients of weights keep the parts of their sums there, 256 tiles of 128 x 128 at most.
      const parts = name.endsWith('weights') && ['fused', 'folded'].includes(way!) ? 256 * 128 * 128 * 4 + 1024 : 0
      if (!way!.startsWith('packed')) expect(Number(workspace), name).toBeLessThanOrEqual(Math.max(parts, 64 * 1024))
      if (precision === 'f32') expect(cores, name).toBeUndefined()
      if (precision === 'bf16') expect(cores, name).toBeDefined()
    }
    if (record) {
      const recorded = read()
      recorded[device] = { ...recorded[device], [precision]: group(plans) }
      writeFileSync(file, `${JSON.stringify(recorded, null, 2)}\n`)
    }
    expect(group(plans)).toEqual(read()[device]?.[precision])
    // Convolutions that are the same in every number share a plan (ConvPlans), so this costs only what differs.
    const forward = Object.entries(plans).filter(([step]) => /^(?!loss[12]).*, forward$/.test(step))
    const inference = Object.fromEntries(forward)
    expect(await plansOf(native, { ...network, training: false })).toEqual(inference)
    // A network without the auxiliary heads shares nothing with the other. What it asks cuDNN does not depend on the
    // device, so one device shows that it asks the same: this takes a third of the time again.
    if (device === 'h100')
      expect(await plansOf(native, { rows: googlenet({ auxiliary: false }), training: false })).toEqual(inference)
  })
})
