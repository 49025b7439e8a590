/** A child process that runs networks natively under given instruction sets or on another device; see child.mjs. */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { LayerRow } from '../../lib/model/layer.js'
import type {
  KernelInfo,
  NativeInput,
  NativeSession,
  NativeTensor,
  RunRequest,
  RunResult,
  SessionOptions,
  StepResult,
  UpdateOptions,
} from '../../lib/native.js'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** `npm test` builds first; only a bare vitest run can find nothing here. */
export const nativeAbsent = !['../../build/Release/googlenet.node', '../../dist/native.js'].every((file) =>
  existsSync(path(file)),
)
export const nativeSkipReason = nativeAbsent ? ' (skipped: not built, run npm run build)' : ''

/** Another Node to run networks in: test/arm64 has one for a processor that is emulated. */
const { GOOGLENET_TEST_NODE } = process.env
const processor = process.platform === 'linux' && !GOOGLENET_TEST_NODE ? readFileSync('/proc/cpuinfo', 'utf8') : ''
/** An instruction set by the name that Linux gives it, such as 'avx512_bf16'. */
export const processorHas = (flag: string) => new RegExp(`\\b${flag}\\b`).test(processor)

/** oneDNN and our own kernels are capped by variables of their own. */
export const isaEnvironments = {
  best: {},
  avx2: { ONEDNN_MAX_CPU_ISA: 'AVX2' },
  portable: { GOOGLENET_MAX_ISA: 'portable', ONEDNN_MAX_CPU_ISA: 'SSE41' },
} as const
export type IsaName = keyof typeof isaEnvironments
/** Those that this processor can be limited to. */
export const isaNames = (Object.keys(isaEnvironments) as IsaName[]).filter(
  (name) => name !== 'avx2' || processorHas('avx2'),
)

type Options = Omit<SessionOptions, 'layers'>

/** Where a process computes: its environment, and options that all its sessions get. */
export interface Place {
  env: Record<string, string>
  options?: Options
}

export interface NativeRun extends RunRequest {
  rows: readonly LayerRow[]
  /** Seed to initialise the parameters from. */
  initialize?: number
  /** Absent: as they are in the session. */
  parameters?: Record<string, NativeTensor>
  options?: Options
  /** Requests of one key share a session: its plans and its memory. */
  key?: string
}
export interface NativeRunResult extends RunResult {
  parameterGradients: Record<string, NativeTensor>
  isa: NativeSession['isa']
}
export interface Batch {
  input: NativeInput
  labels: Int32Array
}
export interface NativeTraining {
  rows: readonly LayerRow[]
  /** Of the initialisation; overwritten by `parameters`. */
  seed?: number
  parameters?: Record<string, NativeTensor>
  batches: Batch[]
  update: Omit<UpdateOptions, 'step'>
  steps: number
  options?: Options
  evaluate?: Batch[]
  /** Blob to return for each evaluated batch. */
  output?: string
}

export class NativeProcess {
  readonly #place: Place
  #child: ChildProcess | undefined

  constructor(place: IsaName | Place = 'best') {
    this.#place = typeof place === 'string' ? { env: isaEnvironments[place] } : place
  }

  run(request: NativeRun): Promise<NativeRunResult> {
    return this.#ask('run', request)
  }

  profile(request: {
    rows: readonly LayerRow[]
    batch: number
    training: boolean
    options?: Options
    key?: string
  }): Promise<{ isa: NativeSession['isa']; kernels: KernelInfo[] }> {
    return this.#ask('profile', request)
  }

  train(request: NativeTraining): Promise<{ results: StepResult[]; evaluations: NativeTensor[] }> {
    return this.#ask('train', request)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (!child) return
    const exit = new Promise((resolve) => child.once('exit', resolve))
    child.disconnect()
    await exit
  }

  /** Starts a child where none lives: after a crash the next request gets a new one. */
  #living(): ChildProcess {
    if (this.#child) return this.#child
    const child = fork(path('child.mjs'), {
      env: { ...process.env, ...this.#place.env },
      execArgv: [],
      ...(GOOGLENET_TEST_NODE && { execPath: GOOGLENET_TEST_NODE }),
      serialization: 'advanced',
    })
    child.once('exit', () => {
      this.#child = undefined
    })
    this.#child = child
    return child
  }

  #ask<T>(action: string, request: { options?: Options }): Promise<T> {
    const child = this.#living()
    return new Promise((resolve, reject) => {
      const ended = (code: number | null, signal: string | null) =>
        reject(new Error(`the native process ended (${signal ?? `code ${code}`}) during ${action}`))
      child.once('exit', ended)
      child.once('message', (message: { result: T } | { error: string }) => {
        child.off('exit', ended)
        if ('error' in message) reject(new Error(message.error))
        else resolve(message.result)
      })
      child.send({ action, request: { ...request, options: { ...this.#place.options, ...request.options } } })
    })
  }
}
