/** The driver in a folder of its own beside a build of the CUDA backend. */
import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** @param release folder of googlenet_cuda.so, from the checkout's; the real one by default */
export function placeDriver(folder: string, release = 'build/Release'): string {
  const build = path('../../build/gpu-driver')
  execFileSync('sh', [path('build.sh'), build], { stdio: ['ignore', 'ignore', 'inherit'] })
  copyFileSync(join(build, 'driver'), join(folder, 'driver'))
  copyFileSync(path(`../../${release}/googlenet_cuda.so`), join(folder, 'googlenet_cuda.so'))
  return join(folder, 'driver')
}
