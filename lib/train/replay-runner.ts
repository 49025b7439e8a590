/**
 * Repeats a recorded asynchronous run: the same workers compute the same batches on the same versions of the weights,
 * and push in the same order, one after the other. The weights come out bit for bit.
 */
import { GoogLeNetError } from '../errors.js'
import { arrived } from './async-runner.js'
import type { LoggedPush } from './push-log.js'
import type { Outcome, Runner, Task } from './runner.js'
import { type Member, TaskSource, type Team } from './team.js'

export class ReplayRunner implements Runner {
  /** Pushes to come. */
  readonly #pushes: LoggedPush[]

  constructor(
    private readonly team: Team,
    pushes: readonly LoggedPush[],
  ) {
    this.#pushes = [...pushes]
  }

  async run(tasks: AsyncIterable<Task>, report: (outcome: Outcome) => void): Promise<number> {
    const { team } = this
    const source = new TaskSource(tasks, team)
    const waiting = new Map<number, Task>()
    const find = async (index: number): Promise<Task | undefined> => {
      for (let task = waiting.get(index); ; task = waiting.get(index)) {
        if (task) return task
        const next = await source.next()
        if (!next) return undefined
        waiting.set(next.index, next)
      }
    }
    try {
      while (this.#pushes.length > 0) {
        for (const member of team.members) await this.#compute(member, find, waiting)
        const push = this.#pushes[0]!
        const member = team.members[push.worker]!
        if (member.held.length < push.batches.length) {
          // Its batches belong to what comes after this stretch of the run.
          if ((await find(push.batches[member.held.length]!.index)) === undefined) break
          throw mismatch(`push of worker ${push.worker} stands on weights that the log does not lead to`)
        }
        this.#pushes.shift()
        arrived(member, await team.push(member), team, report)
      }
      if (waiting.size > 0 || (await source.next())) {
        throw mismatch('the log ends before the run does: record and replay must have the same epochs')
      }
    } catch (error) {
      team.failure ??= error
    }
    return team.conclude(source)
  }

  /** Computes the member's next batches as far as its next push needs them and the weights are those it fetched. */
  async #compute(member: Member, find: (index: number) => Promise<Task | undefined>, waiting: Map<number, Task>) {
    const push = this.#pushes.find(({ worker }) => worker === member.index)
    if (!push) return
    for (const { index, base } of push.batches.slice(member.held.length)) {
      if (base !== null && base !== this.team.updates) return
      const task = await find(index)
      if (!task) return
      waiting.delete(index)
      this.team.note(task)
      const { images, labels } = task.batch
      const local = { rate: task.rate, frozen: this.team.options.frozen }
      const { loss, correct, ...computed } = await member.worker.compute(
        { images, labels },
        { fetch: base !== null, step: index, local },
      )
      member.held.push({ task, loss, correct, base: computed.base, fetched: base !== null, storeSeconds: 0 })
    }
  }

  dispose(): Promise<void> {
    return this.team.dispose()
  }
}

export function mismatch(problem: string): GoogLeNetError {
  return new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `replay: ${problem}`)
}
