/**
 * The C++ tests of kernels and threads (test/native/*.cc), built beside the addon and run on every instruction set
 * the machine has, and on an emulated arm64. They reach what JavaScript cannot: slices, padding, 1 to 3 threads, poisoned
 * memory.
 */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const cross = ['aarch64-linux-gnu-g++', 'qemu-aarch64']
const lacking = cross.filter((command) => spawnSync(command, ['--version']).status !== 0)
const reason = lacking.length > 0 ? ` (skipped: no ${lacking.join(' and no ')})` : ''

test('kernels and threads agree with plain code in double', { timeout: 1_200_000 }, async () => {
  const script = fileURLToPath(new URL('build.sh', import.meta.url))
  // A failed check exits non-zero, which rejects with what was printed.
  const { stdout } = await promisify(execFile)('sh', [script])
  const totals = stdout.match(/^\d+ passed, \d+ failed$/gm)
  expect(totals).toHaveLength(process.arch === 'x64' ? 2 : 1)
  for (const total of totals!) expect(total).toMatch(/^[1-9]\d* passed, 0 failed$/)
})

test('the thread sanitizer finds no race in the parameter store', { timeout: 1_200_000 }, async () => {
  const script = fileURLToPath(new URL('build.sh', import.meta.url))
  const env = { ...process.env, SANITIZE: 'thread', TSAN_OPTIONS: 'halt_on_error=1' }
  const { stdout } = await promisify(execFile)('sh', [script, 'store'], { env })
  expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
})

test.skipIf(lacking.length > 0)(`the same on arm64, emulated${reason}`, { timeout: 1_800_000 }, async () => {
  const script = fileURLToPath(new URL('build.sh', import.meta.url))
  const emulation = { ARCH: 'aarch64', CXX: cross[0], RUN: `${cross[1]} -L /usr/aarch64-linux-gnu` }
  const { stdout } = await promisify(execFile)('sh', [script], { env: { ...process.env, ...emulation } })
  expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
})
