// Makes the recorded figures of steps.test.ts anew, from the float64 reference. Needs no native build.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

execFileSync('npx', ['vitest', 'run', '--typecheck.enabled=false', 'test/golden/steps.test.ts', '-t', 'reference'], {
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  env: { ...process.env, GOOGLENET_RECORD: '1' },
  stdio: 'inherit',
})
