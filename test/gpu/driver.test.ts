/** The driver on a real GPU: all its cases and the whole network, plainly and under compute-sanitizer. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../train/pictures.js'
import { gpu } from './device.js'
import { placeDriver } from './driver.js'
import { writeCases } from './write-cases.js'

const SANITIZER = 'compute-sanitizer'
const sanitizer = [join(process.env.CUDA_HOME ?? '/usr/local/cuda', 'bin', SANITIZER), SANITIZER].find(
  (name) => spawnSync(name, ['--version']).status === 0,
)
const absent = sanitizer ? '' : ' (skipped: not installed)'
const HOUR = 3_600_000

describe.skipIf(!gpu.available)(`driver: ${gpu.description}${gpu.available ? '' : ' (skipped)'}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let driver: string
  beforeAll(async () => {
    folder = await temporaryFolder()
    driver = placeDriver(folder.path)
    await writeCases(join(folder.path, 'cases'), { whole: true })
  }, HOUR)
  afterAll(() => folder?.remove())

  function expectPass(command: string, args: string[]) {
    const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
    expect(status, (stdout + stderr).slice(-4000)).toBe(0)
    expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
  }

  test('all cases', { timeout: HOUR }, () => expectPass(driver, [join(folder.path, 'cases')]))

  // Races are looked for in shared memory, so in the kernels that work in blocks: softmax, loss, sums.
  test.skipIf(!sanitizer).each([
    ['memcheck', ''],
    ['racecheck', 'softmax'],
    ['racecheck', 'loss'],
    ['racecheck', 'narrow GoogLeNet'],
  ])(`${SANITIZER} %s %s${absent}`, { timeout: HOUR }, (tool, only) => {
    const cases = [join(folder.path, 'cases'), '--only', only]
    expectPass(sanitizer!, ['--tool', tool, '--error-exitcode', '9', driver, ...cases])
  })
})
