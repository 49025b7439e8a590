/**
 * Every convolution of the network in every precision, planned by the real cuDNN for GPUs that are not here: which way it
 * goes, by which engine, with how much workspace. Held against a recorded file per cuDNN version. Takes minutes and
 * NVIDIA's wheels, so only on demand: `npm run test:plans`, or GOOGLENET_PLANS='h100, bf16' for one of them, as in CI;
 * GOOGLENET_RECORD=1 writes the file.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import type { Precision } from '../../lib/native.js'
import { NativeProcess, nativeAbsent, nativeSkipReason, type Place } from '../ops/process.js'

const asked = process.env.GOOGLENET_PLANS
const wanted = asked !== undefined && !nativeAbsent
const skipReason = wanted ? '' : nativeSkipReason || ' (skipped: slow, run npm run test:plans)'
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const devices: Record<string, object> = JSON.parse(readFileSync(path('devices.json'), 'utf8'))
const batch = 64

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

  async function plansFor(device: string, precision: Precision, training: boolean): Promise<Plans> {
    await using native = new NativeProcess(place(device, precision))
    const { kernels } = await native.profile({ rows: googlenet({ auxiliary: training }), batch, training })
    const convolutions = kernels.filter(({ op }) => op === 'conv' || op === 'linear')
    return Object.fromEntries(
      convolutions.map(({ name, direction, implementation }) => [`${name}, ${direction}`, implementation]),
    )
  }

  const all = (['bf16', 'tf32', 'f32'] as const).flatMap((precision) =>
    Object.keys(devices).map((device) => [device, precision] as const),
  )
  const chosen = all.filter((pair) => asked === '1' || asked === undefined || asked === pair.join(', '))
  test.for(chosen)('%s, %s', { timeout: 3_600_000 }, async ([device, precision], { skip }) => {
    const file = path(`plans-${version}.json`)
    const read = (): Recorded => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {})
    const record = process.env.GOOGLENET_RECORD !== undefined
    if (!record && !read()[device]?.[precision]) skip(`not recorded for cuDNN ${version}`)
    const plans = await plansFor(device, precision, true)
    for (const [name, plan] of Object.entries(plans)) {
      const [, way, cores, workspace] = /^cudnn:\d+ ([a-z-]+)(, tensor cores)?, workspace (\d+)$/.exec(plan)!
      // A plan on slices that wants as much as its operands copies them; the smallest of ours is 200 KiB in f32.
      if (!way!.startsWith('packed')) expect(Number(workspace), name).toBeLessThanOrEqual(64 * 1024)
      if (precision === 'f32') expect(cores, name).toBeUndefined()
      if (precision === 'bf16') expect(cores, name).toBeDefined()
    }
    if (record) {
      const recorded = read()
      recorded[device] = { ...recorded[device], [precision]: group(plans) }
      writeFileSync(file, `${JSON.stringify(recorded, null, 2)}\n`)
    }
    expect(group(plans)).toEqual(read()[device]?.[precision])
    // Inference has the forward graphs of training: one device shows that, since it takes a third of the time again.
    if (device === 'h100') expect(plans).toMatchObject(await plansFor(device, precision, false))
  })
})
