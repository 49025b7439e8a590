// `npm run test:gpu` and `npm run bench:gpu`: on a machine with an NVIDIA GPU one command builds the addon and the CUDA
// backend, makes sure that the GPU answers, and then tests (test/gpu) or times (bench/gpu.mjs, which gets the options).
// Without a GPU: one line with what is missing, exit code 3, and nothing is built or fetched for it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const NO_DEVICE = 3
const root = fileURLToPath(new URL('..', import.meta.url))
const [work, ...options] = process.argv.slice(2)
const programs = { test: ['node_modules/vitest/vitest.mjs', 'run', 'test/gpu'], bench: ['bench/gpu.mjs'] }

/** What NVIDIA's driver leaves on a machine or gives to a container. */
const DRIVER = ['/dev/nvidiactl', '/proc/driver/nvidia/version', '/dev/dxg']

function unavailable(message) {
  console.error(`googlenet ${work}:gpu: GOOGLENET_ERR_DEVICE_UNAVAILABLE: ${message}`)
  process.exit(NO_DEVICE)
}

function run(args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

if (!programs[work]) {
  console.error('node scripts/gpu.mjs test|bench [options of the program]')
  process.exit(2)
}
if (!DRIVER.some((path) => existsSync(path)))
  unavailable(`no NVIDIA GPU: none of ${DRIVER.join(', ')} exists; in a container start it with the GPU`)
run(['scripts/build.mjs'])
run(['scripts/build-cuda.mjs'])
const { devices } = await import('../dist/device.js')
const { available, description } = devices().find(({ device }) => device === 'cuda')
if (!available) unavailable(description)
// The bench asks for the simulated device by name, the tests have a command of their own.
if (work === 'test' && description.includes('simulated device')) unavailable(`this is ${description}, no GPU`)
run([...programs[work], ...options])
