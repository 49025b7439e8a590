/** What is carried to GPU machines: unpacked elsewhere, without Node, it runs; and without a GPU test:gpu says so. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { SIMULATED_CUDNN } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

describe.skipIf(nativeAbsent)(`bundle for GPU machines${nativeSkipReason}`, () => {
  const folder = useFolder()

  test('what is packed here runs there', { timeout: 600_000 }, () => {
    const archive = join(folder.path, 'bundle.tar.gz')
    const options = ['--simulated', '--only=lrn 3', `--output=${archive}`]
    const packed = spawnSync(process.execPath, [path('../../scripts/bundle-gpu.mjs'), ...options], { encoding: 'utf8' })
    expect(packed.status, packed.stdout + packed.stderr).toBe(0)
    expect(spawnSync('tar', ['-xzf', archive, '-C', folder.path]).status).toBe(0)
    const place = join(folder.path, 'googlenet-gpu')
    expect(readdirSync(place).sort()).toEqual(['README.md', 'cases', 'driver', 'googlenet_cuda.so', 'run.sh', 'source'])
    // Nothing of this process's environment but the simulated cuDNN.
    const env = { PATH: '/usr/bin:/bin', GOOGLENET_CUDNN: SIMULATED_CUDNN }
    const { stdout, status } = spawnSync('sh', [join(place, 'run.sh')], { env, encoding: 'utf8' })
    expect(stdout).toMatch(/\n2 passed, 0 failed\n$/)
    expect(status).toBe(0)
    expect(existsSync(join(place, 'source/test/gpu/build.sh'))).toBe(true)
  })

  test('with Node it brings the tests along', { timeout: 600_000 }, () => {
    const archive = join(folder.path, 'with-node.tar')
    const options = ['--simulated', '--node', '--only=lrn 3', `--output=${archive}`]
    const packed = spawnSync(process.execPath, [path('../../scripts/bundle-gpu.mjs'), ...options], { encoding: 'utf8' })
    expect(packed.status, packed.stdout + packed.stderr).toBe(0)
    const place = join(folder.path, 'elsewhere')
    mkdirSync(place)
    expect(spawnSync('tar', ['-xf', archive, '-C', place]).status).toBe(0)
    const env = { PATH: '/usr/bin:/bin', GOOGLENET_CUDNN: SIMULATED_CUDNN, NO_COLOR: '1' }
    const args = [join(place, 'googlenet-gpu/run.sh'), 'test', '-t', "^f32.* 'conv 3x3 pad 1'$"]
    const { stdout, stderr, status } = spawnSync('sh', args, { env, encoding: 'utf8' })
    expect(stdout + stderr).toMatch(/Tests +1 passed/)
    expect(status).toBe(0)
  })

  test.skipIf(existsSync('/dev/nvidiactl')).each(['test', 'bench'])('%s:gpu without a GPU', (work) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [path('../../scripts/gpu.mjs'), work], {
      encoding: 'utf8',
    })
    expect({ stdout, status }).toEqual({ stdout: '', status: 3 })
    expect(stderr.trim()).toMatch(
      new RegExp(`^googlenet ${work}:gpu: GOOGLENET_ERR_DEVICE_UNAVAILABLE: no NVIDIA GPU: .*$`),
    )
  })
})
