// Tests run in forked processes: a native crash then kills one file, not the run.
// Two workers, because every test of a model already uses all cores.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**', 'build/**'],
    env: { GOOGLENET_DEVICE: 'cpu' }, // what is tested without a device's name is the processor, on GPU machines too
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    typecheck: {
      enabled: true,
      include: ['test/types/**/*.test-d.ts'],
      tsconfig: './tsconfig.test.json',
      // Errors outside the type tests are lint's business (npm run lint).
      ignoreSourceErrors: true,
    },
  },
})
