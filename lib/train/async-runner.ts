/**
 * Downpour SGD (Dean et al. 2012, section 4.1): each worker fetches weights every `fetchEvery` steps, computes, and
 * pushes what it has gathered every `pushEvery` steps. No worker waits for another; only at the end of run() do all
 * come to rest, so that an epoch's figures and checkpoints stand for whole epochs.
 */
import type { Outcome, Runner, Task } from './runner.js'
import { type Member, TaskSource, type Team } from './team.js'
import type { Pushed } from './worker.js'

export class AsyncRunner implements Runner {
  constructor(private readonly team: Team) {}

  async run(tasks: AsyncIterable<Task>, report: (outcome: Outcome) => void): Promise<number> {
    const { team } = this
    const source = new TaskSource(tasks, team)
    do {
      await Promise.all([...team.members].map((member) => this.#serve(member, source, report)))
      // Batches of a worker that was dropped when the others had already finished.
    } while (team.returned.length > 0 && team.failure === undefined)
    return team.conclude(source)
  }

  dispose(): Promise<void> {
    return this.team.dispose()
  }

  async #serve(member: Member, source: TaskSource, report: (outcome: Outcome) => void): Promise<void> {
    const { team } = this
    while (team.failure === undefined) {
      let task: Task | undefined
      try {
        task = await source.next()
      } catch (error) {
        team.failure ??= error
        return
      }
      try {
        if (!task) {
          if (member.held.length > 0) {
            arrived(member, await team.push(member), team, report)
          }
          return
        }
        await this.#step(member, task, report)
      } catch (error) {
        await team.failed(member, error, task ? [task] : [])
        return
      }
    }
  }

  async #step(member: Member, task: Task, report: (outcome: Outcome) => void): Promise<void> {
    const { team } = this
    const { fetchEvery, pushEvery, frozen } = team.options
    const { rate, index, batch } = task
    team.note(task)
    const fetch = member.steps % fetchEvery === 0
    const pushes = member.held.length + 1 >= pushEvery
    const { loss, correct, base, storeSeconds, pushed } = await member.worker.compute(
      { images: batch.images, labels: batch.labels },
      { fetch, step: index, local: { rate, frozen }, ...(pushes && { push: team.pushOptions(rate) }) },
    )
    member.steps++
    member.held.push({ task, loss, correct, base, fetched: fetch, storeSeconds })
    if (pushed) arrived(member, pushed, team, report)
  }
}

/** Reports the tasks whose gradients a push brought. */
export function arrived(member: Member, pushed: Pushed, team: Team, report: (outcome: Outcome) => void): void {
  const { held } = member
  member.held = []
  team.updates = Math.max(team.updates, pushed.updates)
  team.options.log?.add(member.index, pushed, held)
  held.forEach(({ task, loss, correct, storeSeconds }, at) => {
    const last = at === held.length - 1
    const { staleness, applied, updates } = pushed
    report({ task, loss, correct, updates, storeSeconds, ...(last && { push: { staleness, applied } }) })
  })
}
