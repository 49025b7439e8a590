/**
 * The driver for GPU machines without Node (test/gpu/driver.cc) on the simulated device: it passes the cases that it
 * will be carried with, and notices a single wrong value.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { placeDriver } from '../gpu/driver.js'
import { writeCases } from '../gpu/write-cases.js'
import { cases } from '../ops/cases.js'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, type Simulation, simulated } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'

describe.skipIf(nativeAbsent)(`driver on simulated CUDA${nativeSkipReason}`, () => {
  const folder = useFolder()
  const inFolder = (name: string) => join(folder.path, name)
  beforeAll(() => {
    buildSimulator()
    placeDriver(folder.path, 'build/simulator/build/Release')
  }, 600_000)

  function drive(args: string[], simulation: Simulation = {}) {
    const env = { ...process.env, ...simulated(simulation).env }
    const { stdout, stderr, status } = spawnSync(inFolder('driver'), args, { env, encoding: 'utf8' })
    return { lines: (stdout + stderr).trim().split('\n'), status }
  }

  test('all cases pass', { timeout: 600_000 }, async () => {
    await writeCases(inFolder('cases'), { whole: false })
    const { lines, status } = drive([inFolder('cases')])
    expect(lines[0]).toMatch(/^cuda:0, simulated device, /)
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/^\d{4,} results compared$/),
      `${cases.length + 3} passed, 0 failed`,
    ])
    expect(status).toBe(0)
  })

  /** The largest value of the first expected tensor of a kind becomes its negative. */
  function flip(file: string, kind: string): string {
    const bytes = Buffer.from(readFileSync(file))
    const line = bytes.indexOf(`expect\tkind=${kind}\t`)
    const start = bytes.indexOf('\n', line) + 1
    const length = Number(/bytes=(\d+)/.exec(bytes.toString('latin1', line, start))![1])
    const places = Array.from({ length: length / 4 }, (_, i) => start + 4 * i)
    const largest = places.reduce((a, b) => (Math.abs(bytes.readFloatLE(b)) > Math.abs(bytes.readFloatLE(a)) ? b : a))
    bytes.writeFloatLE(-bytes.readFloatLE(largest), largest)
    writeFileSync(inFolder(`flipped-${kind}`), bytes)
    return inFolder(`flipped-${kind}`)
  }

  test('one wrong value is noticed', async () => {
    const name = 'conv 3x3 pad 1'
    await writeCases(inFolder('one'), { whole: false, only: name })
    expect(drive([inFolder('one')])).toMatchObject({ status: 0 })
    for (const kind of ['output', 'gradient', 'inputGradient']) {
      const { lines, status } = drive([flip(inFolder('one'), kind)])
      expect(lines[1]).toBe(`FAIL ${name}`)
      expect(lines[2]).toMatch(/: off by [\d.]+e\+00, at most 1e-05$/)
      expect(lines.at(-1)).toMatch(/^\d passed, 1 failed$/)
      expect(status).toBe(1)
    }
  })

  test('no case, no file, no GPU, a wrong option: each its exit code', () => {
    expect(drive([inFolder('one'), '--only', 'nothing of this name'])).toMatchObject({ status: 1 })
    expect(drive([inFolder('driver')])).toEqual({
      status: 2,
      lines: expect.arrayContaining([expect.stringMatching(/is not a file of cases/)]),
    })
    expect(drive([inFolder('one'), '--fast'])).toMatchObject({ status: 2 })
    const { lines, status } = drive([inFolder('one')], { devices: 0 })
    expect(lines).toEqual([expect.stringMatching(/^driver: GOOGLENET_ERR_DEVICE_UNAVAILABLE: .*sees no GPU/)])
    expect(status).toBe(3)
  })
})
