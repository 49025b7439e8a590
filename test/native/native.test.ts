/**
 * The C++ tests of kernels and threads (test/native/*.cc), built beside the addon and run on every instruction set
 * the machine has. They reach what JavaScript cannot: slices, padding, 1 to 3 threads, poisoned memory.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

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
