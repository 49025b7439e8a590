/**
 * Every convolution of the network, training and inference, planned by the real cuDNN for GPUs that are not here: which
 * way it goes, by which engine, with how much workspace. Held against a recorded file per cuDNN version. Takes minutes
 * and NVIDIA's wheels, so only on demand: `npm run test:plans`; GOOGLENET_RECORD=1 writes the file.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { googlenet } from '../../lib/model/googlenet.js'
import { NativeProcess, nativeAbsent, nativeSkipReason, type Place } from '../ops/process.js'

const wanted = process.env.GOOGLENET_PLANS !== undefined && !nativeAbsent
const skipReason = wanted ? '' : nativeSkipReason || ' (skipped: slow, run npm run test:plans)'
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const devices: Record<string, object> = JSON.parse(readFileSync(path('devices.json'), 'utf8'))
const batch = 64

type Plans = Record<string, string>
/** By device, then phase. */
type Recorded = Record<string, Record<string, Plans>>

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

  function place(device: string): Place {
    const env = {
      GOOGLENET_PREBUILD: path('../../build/deviceless'),
      GOOGLENET_CUDNN: `${cudnn}/lib`,
      LD_LIBRARY_PATH: `${path('../../build/deviceless/driver')}:${toolkit}/lib`,
      DEVICELESS_PROPERTIES: JSON.stringify(devices[device]),
      SIMULATOR_IDLE: '1',
      SIMULATOR_MEMORY: '65536',
    }
    return { env, options: { device: 'cuda' } }
  }

  async function plansFor(device: string, training: boolean): Promise<Plans> {
    await using native = new NativeProcess(place(device))
    const { kernels } = await native.profile({ rows: googlenet({ auxiliary: training }), batch, training })
    const convolutions = kernels.filter(({ op }) => op === 'conv' || op === 'linear')
    return Object.fromEntries(
      convolutions.map(({ name, direction, implementation }) => [`${name}, ${direction}`, implementation]),
    )
  }

  describe.each(Object.keys(devices))('%s', (device) => {
    test.for(['training', 'inference'] as const)('%s', { timeout: 1_800_000 }, async (phase, { skip }) => {
      const file = path(`plans-${version}.json`)
      const read = (): Recorded => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {})
      const record = process.env.GOOGLENET_RECORD !== undefined
      if (!record && !read()[device]?.[phase]) skip(`not recorded for cuDNN ${version}`)
      const plans = await plansFor(device, phase === 'training')
      const recorded = read()
      if (record) {
        recorded[device] = { ...recorded[device], [phase]: plans }
        writeFileSync(file, `${JSON.stringify(recorded, null, 1)}\n`)
      }
      for (const [name, plan] of Object.entries(plans)) {
        const [, way, workspace] = /^cudnn:\d+ (\w+), workspace (\d+)$/.exec(plan)!
        // A plan on slices that wants as much as its operands copies them; the smallest of ours is 200 KiB.
        if (way !== 'packed') expect(Number(workspace), name).toBeLessThan(64 * 1024)
      }
      expect(plans).toEqual(recorded[device]?.[phase])
    })
  })
})
