/**
 * Workers in step: a round is one batch each, one update with the mean of their gradients, as one batch of all their
 * images would make it. With backup workers (Chen et al. 2016, arXiv 1604.00981) a round ends with the first
 * W - backups gradients; a late one is thrown away and its batch handed out again.
 */
import { arrived } from './async-runner.js'
import type { Outcome, Runner, Task } from './runner.js'
import { type Member, TaskSource, type Team } from './team.js'

/** A worker at work; settles to itself, never rejects. */
interface Running {
  member: Member
  task: Task
  round: number
  finished: boolean
  error?: unknown
  done: Promise<Running>
}

export class SyncRunner implements Runner {
  readonly #busy = new Map<Member, Running>()

  constructor(
    private readonly team: Team,
    private readonly backups: number,
  ) {}

  async run(tasks: AsyncIterable<Task>, report: (outcome: Outcome) => void): Promise<number> {
    const { team } = this
    const source = new TaskSource(tasks, team)
    try {
      while (team.failure === undefined && (await this.#one(source, report)));
    } catch (error) {
      team.failure ??= error
    }
    while (this.#busy.size > 0) await this.#settle(await this.#next(() => true))
    return team.conclude(source)
  }

  /** One round; false when nothing is left to do. */
  async #one(source: TaskSource, report: (outcome: Outcome) => void): Promise<boolean> {
    const { team } = this
    const round = team.updates
    let place = 0
    for (const member of team.members.filter((member) => !this.#busy.has(member))) {
      const task = await source.next()
      if (!task) break
      this.#start(member, task, round, place++)
    }
    if (this.#busy.size === 0) return false
    const current = () => [...this.#busy.values()].filter((running) => running.round === round)
    const counts = ({ finished, error, ...running }: Running) =>
      finished && error === undefined && running.round === round
    const ready = () => current().filter(counts)
    while (ready().length < Math.max(1, Math.min(current().length, team.members.length - this.backups))) {
      const running = await this.#next((running) => !counts(running))
      if (!counts(running)) await this.#settle(running)
      if (team.failure !== undefined || current().length === 0) return true
    }
    // In the order of the workers, so that the sum has the same bits in every run.
    const pushing = ready().sort((a, b) => a.member.index - b.member.index)
    for (const { member, task } of pushing) {
      this.#busy.delete(member)
      arrived(member, await member.worker.push(team.pushOptions(task.rate, pushing.length)), team, report)
    }
    return true
  }

  #start(member: Member, task: Task, round: number, place: number): void {
    const { images, labels, count } = task.batch
    const running = { member, task, round, finished: false } as Running
    const local = { rate: task.rate, frozen: this.team.options.frozen }
    running.done = member.worker
      .compute({ images, labels }, { fetch: true, step: round, firstSample: place * count, local })
      .then(({ loss, correct, base, storeSeconds }) => {
        member.held = [{ task, loss, correct, base, fetched: true, storeSeconds }]
      })
      .catch((error) => {
        running.error = error
      })
      .then(() => {
        running.finished = true
        return running
      })
    this.#busy.set(member, running)
  }

  /** The next to finish of those wanted; one that has finished already comes at once. */
  #next(wanted: (running: Running) => boolean): Promise<Running> {
    return Promise.race([...this.#busy.values()].filter(wanted).map(({ done }) => done))
  }

  /** Ends what brings nothing to its round: a failure, or a gradient that came too late. */
  async #settle({ member, task, error }: Running): Promise<void> {
    this.#busy.delete(member)
    if (error !== undefined) {
      await this.team.failed(member, error, [task])
      return
    }
    member.held = []
    this.team.returned.push(task)
    await member.worker.discard()
  }

  dispose(): Promise<void> {
    return this.team.dispose()
  }
}
