/** Runs the built command line in a child process, as users do. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  /** The last line of stdout, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: the keys are what the tests are about
  json: any
}

export function googlenet(args: readonly string[], onStart?: (child: ChildProcess) => void): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (text) => {
      stdout += text
    })
    child.stderr.on('data', (text) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      let json: unknown
      try {
        json = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
      } catch {
        json = undefined
      }
      resolve({ code, signal, stdout, stderr, json })
    })
    onStart?.(child)
  })
}
