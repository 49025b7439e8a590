/**
 * How batches become updates: the trainer hands out tasks, a runner trains on each exactly once. There is one for the
 * model alone, one for workers that wait for nobody, one for workers in step, and one that repeats a recorded run.
 */
import type { LoadedBatch } from '../data/loader.js'
import type { Rendering } from '../data/rendering.js'
import type { GoogLeNet } from '../model/model.js'
import type { Optimizer } from './optimizer.js'

export interface Task {
  batch: LoadedBatch<Rendering>
  /** Samples of the epoch that this batch used up, skipped ones included. */
  samples: number
  /** Batches of the run before it: drives dropout. */
  index: number
  /** By the schedule, for the images handed out before it. */
  rate: number
}

/** A task that is done: its gradient has reached the weights, or was refused as too stale. */
export interface Outcome {
  task: Task
  loss: number
  correct: number
  /** Updates made so far. */
  updates: number
  /** The push that brought it; the last of the tasks that were pushed together tells. */
  push?: { staleness: number; applied: boolean }
  /** Fetching and pushing, waiting for the store included. */
  storeSeconds: number
}

export interface Runner {
  /**
   * Trains on every task. Resolves with the number of updates made so far, when all tasks have been reported and every
   * gradient is in the weights; after an error nothing is under way any more either.
   */
  run(tasks: AsyncIterable<Task>, report: (outcome: Outcome) => void): Promise<number>
  dispose(): Promise<void>
}

interface Ahead {
  task: Task
  next?: Task | undefined
}
async function* alone(tasks: AsyncIterable<Task>): AsyncGenerator<Ahead> {
  for await (const task of tasks) yield { task }
}
async function* withNext(tasks: AsyncIterable<Task>): AsyncGenerator<Ahead> {
  let task: Task | undefined
  for await (const next of tasks) {
    if (task) yield { task, next }
    task = next
  }
  if (task) yield { task }
}

/** The model itself, one step after the other. */
export class SoloRunner implements Runner {
  constructor(
    private readonly model: GoogLeNet,
    private readonly optimizer: Optimizer,
    private readonly frozen: readonly string[],
    private updates: number,
  ) {}

  async run(tasks: AsyncIterable<Task>, report: (outcome: Outcome) => void): Promise<number> {
    const { model, optimizer, frozen } = this
    // One ahead for a GPU's sake. A processor would only wait for the batch.
    for await (const { task, next } of model.device === 'cpu' ? alone(tasks) : withNext(tasks)) {
      const options = { optimizer, rate: task.rate, frozen, next: next?.batch }
      const { loss, correct } = await model.step(task.batch, options)
      report({ task, loss, correct, updates: ++this.updates, storeSeconds: 0 })
    }
    return this.updates
  }

  async dispose(): Promise<void> {}
}
