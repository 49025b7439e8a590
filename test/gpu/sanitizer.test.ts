/** compute-sanitizer over the driver on a real GPU: memory errors in all cases, races in those of our own kernels. */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../train/pictures.js'
import { gpu } from './device.js'
import { writeCases } from './write-cases.js'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

const tool = [
  process.env.CUDA_HOME && join(process.env.CUDA_HOME, 'bin', 'compute-sanitizer'),
  'compute-sanitizer',
  '/usr/local/cuda/bin/compute-sanitizer',
]
  .filter((name) => name !== undefined && name !== '')
  .find((name) => spawnSync(name!, ['--version']).status === 0)
const skipReason = !gpu.available ? ` (skipped: ${gpu.description})` : tool ? '' : ' (skipped: not installed)'

describe.skipIf(skipReason !== '')(`compute-sanitizer${skipReason}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder()
    execFileSync('sh', [path('build.sh'), path('../../build/gpu-driver')], { stdio: ['ignore', 'ignore', 'inherit'] })
    copyFileSync(path('../../build/gpu-driver/driver'), join(folder.path, 'driver'))
    copyFileSync(path('../../build/Release/googlenet_cuda.so'), join(folder.path, 'googlenet_cuda.so'))
    await writeCases(join(folder.path, 'cases'), { whole: false })
  }, 600_000)
  afterAll(() => folder.remove())

  // Races are looked for in shared memory, so in the kernels that work in blocks: softmax, loss, sums.
  test.each([
    ['memcheck', ''],
    ['racecheck', 'softmax'],
    ['racecheck', 'loss'],
    ['racecheck', 'narrow GoogLeNet'],
  ])('%s %s', { timeout: 3_600_000 }, (check, only) => {
    const args = ['--tool', check, '--error-exitcode', '9', join(folder.path, 'driver'), join(folder.path, 'cases')]
    const { stdout, stderr, status } = spawnSync(tool!, [...args, '--only', only], { encoding: 'utf8' })
    expect(status, stdout.slice(-4000) + stderr).toBe(0)
    expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
  })

  test('the driver passes the whole network too', { timeout: 1_200_000 }, async () => {
    expect(existsSync(join(folder.path, 'driver'))).toBe(true)
    await writeCases(join(folder.path, 'whole'), { whole: true, only: 'none but the whole' })
    const { stdout, status } = spawnSync(join(folder.path, 'driver'), [join(folder.path, 'whole')], {
      encoding: 'utf8',
    })
    expect(status, stdout).toBe(0)
  })
})
