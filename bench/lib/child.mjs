/**
 * A contender's process: started once, then asked line by line over its stdin (see contenders/serve.mjs). Whatever
 * goes wrong in it becomes an error with the end of what it wrote to stderr.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { environmentOf, packageOf } from '../contenders/list.mjs'
import { pythonOf } from './install.mjs'
import { contendersFolder, peersFolder, preparedFolder } from './paths.mjs'

/** Compiling peers need minutes on few cores. */
const LIMIT_MS = 10 * 60_000

export class Child {
  #process
  #waiting
  #ended
  #errors = ''

  constructor(contender, threads) {
    const { script, args = [] } = contender
    const python = script.endsWith('.py')
    const command = python ? (contender.python ?? pythonOf(packageOf[script].environment)) : process.execPath
    const environment = {
      BENCH_THREADS: String(threads),
      BENCH_PREPARED: preparedFolder,
      TORCHINDUCTOR_CACHE_DIR: join(peersFolder, 'inductor'),
      PYTHONDONTWRITEBYTECODE: '1',
      ...environmentOf(contender, threads),
      ...contender.env,
    }
    this.#process = spawn(command, [join(contendersFolder, script), ...args], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process.stderr.setEncoding('utf8').on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000)
    })
    this.#process.stdin.on('error', () => {})
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.#settle((waiting) => waiting.resolve(JSON.parse(line)))
    })
    this.#ended = new Promise((resolve) => {
      const end = (reason) => {
        const problem = `${reason}: ${this.#errors.trim().split('\n').slice(-3).join(' | ')}`
        this.#settle((waiting) => waiting.reject(new Error(problem)))
        resolve()
      }
      this.#process.on('error', (error) => end(error.message))
      this.#process.on('close', (code, signal) => end(`ended with ${signal ?? `code ${code}`}`))
    })
  }

  /** One request, one reply; rejects with what the contender reported. */
  async ask(request) {
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), LIMIT_MS)
    try {
      const reply = await new Promise((resolve, reject) => {
        if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
          return reject(new Error(`is gone: ${this.#errors.trim().split('\n').at(-1)}`))
        }
        this.#waiting = { resolve, reject }
        this.#process.stdin.write(`${JSON.stringify(request)}\n`)
      })
      if (reply.error) throw new Error(reply.error)
      return reply
    } finally {
      clearTimeout(timer)
    }
  }

  /** Processor seconds used so far, all threads. */
  cpuSeconds() {
    const fields = this.#proc('stat').split(') ').at(-1).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  /** High-water mark of resident memory, MB. */
  peakMb() {
    return Math.round(Number(this.#proc('status').match(/VmHWM:\s+(\d+)/)?.[1]) / 1024)
  }

  async end() {
    this.#process.stdin.end()
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5000)
    await this.#ended
    clearTimeout(timer)
  }

  #proc(name) {
    try {
      return readFileSync(`/proc/${this.#process.pid}/${name}`, 'utf8')
    } catch {
      return ''
    }
  }

  #settle(how) {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) how(waiting)
  }
}
