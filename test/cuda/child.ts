/** Scripts over the built package, each in a process of its own on the simulated device. */
import { spawnSync } from 'node:child_process'
import { type Simulation, simulated } from '../simulator/simulator.js'

export type Environment = Record<string, string>
export const PACKAGE = new URL('../../dist/', import.meta.url).href
export const DONE = { status: 0, signal: null }

export const on = (simulation: Simulation, more: Environment = {}): Environment => ({
  ...simulated(simulation).env,
  ...more,
})

/** For scripts that want it: noise that differs from step to step, and a digest of everything that training changes. */
export const HELPERS = `
  const { createHash } = await import('node:crypto')
  const noise = (n, step) => ({
    images: new Float32Array(n * 3 * 48 * 48).map((_, i) => 60 * Math.sin(i * (step + 1))),
    labels: Array.from({ length: n }, (_, i) => (i + step) % 3),
  })
  const digest = async (model, sets = ['weights', 'momentum']) => {
    const hash = createHash('sha256')
    for (const set of sets) for (const [, { data }] of await model.parameters(set)) hash.update(data)
    return hash.digest('hex')
  }
`

/** `small` and `batch(n)` are there; what it prints is the output. */
export function inChild(script: string, env: Environment) {
  const prelude = `import { GoogLeNet } from '${PACKAGE}index.js'
    const small = { classes: 3, inputSize: 48, width: 0.125, device: 'cuda' }
    const batch = (n) => ({ images: new Float32Array(n * 3 * 48 * 48).fill(1), labels: Array(n).fill(1) })\n`
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', prelude + script],
    { env: { ...process.env, ...env }, encoding: 'utf8', timeout: 100_000 },
  )
  return { output: (stdout + stderr).trim(), status, signal }
}
