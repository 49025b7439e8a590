/**
 * A worker of asynchronous SGD: it fetches the weights from the store, computes gradients on its own copy and pushes
 * them. This is all that the trainer knows of workers and of the store, so both may live on other devices or machines;
 * ReplicaWorker is the one of this process.
 */
import { fromNative } from '../errors.js'
import { cancellable } from '../lifetime.js'
import { MAIN_LOSS } from '../model/googlenet.js'
import { type Batch, checkBatch, toInput, toLabels } from '../model/images.js'
import type { NativeReplica, Pushed } from '../native.js'
import { checkBoolean, checkInteger, checkKnown, checkNumber, checkStrings } from '../options.js'
import { checkOptimizer, type Optimizer } from './optimizer.js'

export type { Pushed } from '../native.js'

export interface Computed {
  /** Weighted total of all heads, mean over the batch. */
  loss: number
  /** Right answers of the main head. */
  correct: number
  /** Updates that the weights had seen when they were fetched. */
  base: number
  /** Of fetching and, when the call pushed, pushing. */
  storeSeconds: number
  pushed?: Pushed
}

export interface PushOptions {
  optimizer: Optimizer
  rate: number
  frozen: readonly string[]
  /** Divide the rate by max(1, staleness). */
  scaleByStaleness?: boolean
  /** Beyond it a gradient is not applied. Default: any is. */
  maxStaleness?: number
  /** Gradients whose mean makes one update. Default 1. */
  group?: number
}

export interface ComputeOptions {
  /** Take the store's newest weights first; otherwise go on with those at hand, moved by the last gradient. */
  fetch: boolean
  /** Counter that drives dropout. */
  step: number
  /** Place of the batch's first image in a larger batch that workers share; for dropout. Default 0. */
  firstSample?: number
  /** Push at once, together with what was not pushed yet. */
  push?: PushOptions
  /** Of its own moves between fetches. */
  local: { rate: number; frozen: readonly string[] }
  signal?: AbortSignal
}

export interface Worker {
  compute(batch: Batch, options: ComputeOptions): Promise<Computed>
  /** Pushes the sum of the gradients since the last push. */
  push(options: PushOptions): Promise<Pushed>
  /** Forgets the gradients that were not pushed. */
  discard(): Promise<void>
  /** Makes an update of what a group that is not complete has gathered; resolves with the updates made so far. */
  flush(options: PushOptions): Promise<number>
  dispose(): Promise<void>
}

export class ReplicaWorker implements Worker {
  constructor(
    private readonly replica: NativeReplica,
    private readonly size: number,
    private readonly classes: number,
    private readonly owner: { onPush: () => void; onDispose: () => void },
  ) {}

  async compute(batch: Batch, options: ComputeOptions): Promise<Computed> {
    checkBatch('batch', batch)
    const { fetch, step, firstSample = 0, push, local, signal } = checkCompute(options)
    const input = toInput(batch.images, this.size)
    const labels = toLabels(batch.labels, input.shape[0]!, this.classes)
    const request = { fetch, step, firstSample, ...local, push: push && native(push) }
    const call = cancellable(signal, (cancel) => this.replica.compute(input, labels, request, cancel))
    const result = await (push ? this.#pushing(call) : call)
    const storeSeconds = result.storeSeconds + (result.pushed?.storeSeconds ?? 0)
    return { ...result, storeSeconds, correct: result.losses[MAIN_LOSS]!.correct }
  }

  async push(options: PushOptions): Promise<Pushed> {
    return this.#pushing(rewrapped(this.replica.push(native(options))))
  }

  discard(): Promise<void> {
    return rewrapped(this.replica.discard())
  }

  async flush(options: PushOptions): Promise<number> {
    return this.#pushing(rewrapped(this.replica.flush(native(options))))
  }

  #pushing<T>(call: Promise<T>): Promise<T> {
    return call.finally(this.owner.onPush)
  }

  /** Bytes held natively. */
  memory(): number {
    const { parameters, arena, scratch, kernels } = this.replica.memory()
    return parameters + arena + scratch + kernels
  }

  dispose(): Promise<void> {
    this.owner.onDispose()
    return this.replica.dispose()
  }
}

function checkCompute(options: ComputeOptions): ComputeOptions {
  checkKnown('compute', options, ['fetch', 'step', 'firstSample', 'push', 'local', 'signal'])
  checkBoolean('fetch', options.fetch)
  checkInteger('step', options.step, { max: 2 ** 32 - 1 })
  checkInteger('firstSample', options.firstSample ?? 0)
  checkKnown('local', options.local, ['rate', 'frozen'])
  checkNumber('local.rate', options.local.rate)
  checkStrings('local.frozen', options.local.frozen)
  return options
}

const PUSH_KEYS = ['optimizer', 'rate', 'frozen', 'scaleByStaleness', 'maxStaleness', 'group']

function native(push: PushOptions) {
  checkKnown('push', push, PUSH_KEYS)
  const { optimizer, ...options } = push
  checkNumber('rate', options.rate)
  checkStrings('frozen', options.frozen)
  checkBoolean('scaleByStaleness', options.scaleByStaleness ?? false)
  checkInteger('group', options.group ?? 1, { min: 1 })
  if (options.maxStaleness !== undefined) checkInteger('maxStaleness', options.maxStaleness)
  return { ...checkOptimizer(optimizer), ...options }
}

function rewrapped<T>(call: Promise<T>): Promise<T> {
  return call.catch((error) => {
    throw fromNative(error)
  })
}
