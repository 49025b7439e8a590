/**
 * The workers of a run, what they are told, and what happens when one of them fails: the run ends with its error, or
 * it is dropped and its batches go to the others. Shared by the runners that use workers.
 */
import { AbortError, GoogLeNetError } from '../errors.js'
import type { Optimizer } from './optimizer.js'
import type { PushLog } from './push-log.js'
import type { Task } from './runner.js'
import type { Pushed, PushOptions, Worker } from './worker.js'

export interface TeamOptions {
  optimizer: Optimizer
  frozen: readonly string[]
  /** Steps between two fetches, and between two pushes. */
  fetchEvery: number
  pushEvery: number
  scaleByStaleness: boolean
  maxStaleness: number | undefined
  group: number
  onError: 'stop' | 'drop'
  /** Called for each worker that was dropped. */
  onDrop: (worker: number, error: Error) => void
  log: PushLog | undefined
}

export interface Member {
  readonly index: number
  readonly worker: Worker
  /** Steps made. */
  steps: number
  /** Computed, but not pushed yet. */
  held: { task: Task; loss: number; correct: number; base: number; fetched: boolean; storeSeconds: number }[]
}

export class Team {
  readonly members: Member[]
  /** Tasks of dropped workers, for the others. */
  readonly returned: Task[] = []
  /** The first error that ends the run. */
  failure: unknown
  #newest: { index: number; rate: number } | undefined

  constructor(
    workers: readonly Worker[],
    readonly options: TeamOptions,
    /** Made so far. */
    public updates: number,
  ) {
    this.members = workers.map((worker, index) => ({ index, worker, steps: 0, held: [] }))
  }

  pushOptions(rate: number, group = this.options.group): PushOptions {
    const { optimizer, frozen, scaleByStaleness, maxStaleness } = this.options
    return { optimizer, rate, frozen, scaleByStaleness, maxStaleness, group }
  }

  /** Deals with what a worker threw at `tasks`. A loss that is not finite or an abort concerns the run, not the worker. */
  async failed(member: Member, error: unknown, tasks: readonly Task[]): Promise<void> {
    const own =
      !(error instanceof AbortError) && !(error instanceof GoogLeNetError && error.code === 'GOOGLENET_ERR_NOT_FINITE')
    if (this.options.onError === 'stop' || !own || this.members.length === 1) {
      this.failure ??= error
      return
    }
    this.members.splice(this.members.indexOf(member), 1)
    this.returned.push(...member.held.map(({ task }) => task), ...tasks)
    member.held = []
    this.options.onDrop(member.index, error as Error)
    await member.worker.dispose()
  }

  /** Pushes what a member has computed, at the rate of the newest of it. */
  push({ worker, held }: Member): Promise<Pushed> {
    return worker.push(this.pushOptions(held.at(-1)!.task.rate))
  }

  /** Makes an update of gradients that no complete group came of. */
  async #flush(): Promise<void> {
    const worker = this.members[0]?.worker
    if (!worker || !this.#newest || this.options.group === 1) return
    this.updates = await worker.flush(this.pushOptions(this.#newest.rate))
  }

  /** The end of a stretch, with nothing under way any more: the updates made so far, or the error that ended it. */
  async conclude(source: TaskSource): Promise<number> {
    await source.end().catch((error) => {
      this.failure ??= error
    })
    if (this.failure !== undefined) throw this.failure
    await this.#flush()
    await this.options.log?.write()
    return this.updates
  }

  /** To be told of every task: the flush goes at the newest one's rate. */
  note({ index, rate }: Task): void {
    if (index >= (this.#newest?.index ?? 0)) this.#newest = { index, rate }
  }

  async dispose(): Promise<void> {
    await Promise.all(this.members.map(({ worker }) => worker.dispose()))
  }
}

/** Tasks from several askers at a time, returned ones first. */
export class TaskSource {
  readonly #iterator: AsyncIterator<Task>
  #ended = false

  constructor(
    tasks: AsyncIterable<Task>,
    private readonly team: Team,
  ) {
    this.#iterator = tasks[Symbol.asyncIterator]()
  }

  async next(): Promise<Task | undefined> {
    const returned = this.team.returned.shift()
    if (returned) return returned
    if (this.#ended) return undefined
    const { done, value } = await this.#iterator.next()
    if (!done) return value
    this.#ended = true
    // A worker may have been dropped while this one waited.
    return this.team.returned.shift()
  }

  async end(): Promise<void> {
    await this.#iterator.return?.()
  }
}
