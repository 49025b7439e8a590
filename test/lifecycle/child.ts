/** Runs a script against the built package in a child process and reports how it ended. */
import { spawn } from 'node:child_process'

const PACKAGE = new URL('../../dist/index.js', import.meta.url).href

/** What every script starts with: a small model named `model` and a batch for step(). */
const PRELUDE = `
import { GoogLeNet, sgd } from '${PACKAGE}'
const SIZE = 224
const make = (options) => GoogLeNet.create({ classes: 3, inputSize: SIZE, width: 0.5, threads: 2, ...options })
const batch = (count) => ({ images: new Float32Array(count * 3 * SIZE * SIZE).fill(1), labels: Array(count).fill(1) })
const model = await make()
`

export function inChild(script: string): Promise<{ code: number | null; signal: string | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', PRELUDE + script])
    let output = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), 50_000)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        output += text
      })
    }
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, output: output.trim() })
    })
  })
}

export { PACKAGE }
