/** The driver on a real GPU: all its cases and the whole network, plainly and under compute-sanitizer; see device.ts. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../train/pictures.js'
import { gpu } from './device.js'
import { placeDriver } from './driver.js'
import { SANITIZER, sanitizerAbsent, sanitizerReason, under } from './sanitizer.js'
import { writeCases } from './write-cases.js'

const HOUR = 3_600_000

describe.skipIf(!gpu.available)(gpu.title('driver'), () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let driver: string
  beforeAll(async () => {
    folder = await temporaryFolder()
    driver = placeDriver(folder.path, gpu.simulated ? 'build/simulator/build/Release' : undefined)
    await writeCases(join(folder.path, 'cases'), { whole: !gpu.simulated })
  }, HOUR)
  afterAll(() => folder?.remove())

  function expectPass([command, ...args]: string[]) {
    const { stdout, stderr, status } = spawnSync(command!, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
    expect(status, (stdout + stderr).slice(-4000)).toBe(0)
    expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
  }

  test('all cases', { timeout: HOUR }, () => expectPass([driver, join(folder.path, 'cases')]))

  // Races are looked for in shared memory, so in the kernels that work in blocks: softmax, loss, sums.
  test.skipIf(sanitizerAbsent).each([
    ['memcheck', ''],
    ['racecheck', 'softmax'],
    ['racecheck', 'loss'],
    ['racecheck', 'narrow GoogLeNet'],
  ])(`${SANITIZER} %s %s${sanitizerReason}`, { timeout: HOUR }, (tool, only) => {
    expectPass([...under(tool), driver, join(folder.path, 'cases'), '--only', only])
  })
})
