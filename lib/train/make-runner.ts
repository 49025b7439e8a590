/** The runner that fit()'s options ask for, with its workers. */
import type { GoogLeNet } from '../model/model.js'
import { AsyncRunner } from './async-runner.js'
import type { WorkerEvent } from './events.js'
import type { Settings } from './fit-options.js'
import { PushLog, type PushLogHeader } from './push-log.js'
import { mismatch, ReplayRunner } from './replay-runner.js'
import { type Runner, SoloRunner } from './runner.js'
import { SyncRunner } from './sync-runner.js'
import { Team } from './team.js'
import type { Worker } from './worker.js'
import { type WorkerPlace, type WorkerSettings, workerPlaces } from './worker-options.js'

/** Makes worker number `index`. The trainer knows workers by their interface alone; tests bring slow and broken ones. */
export type MakeWorker = (model: GoogLeNet, place: WorkerPlace, index: number) => Worker

/** What the run is at, for push logs and counters. */
export interface Position extends Omit<PushLogHeader, 'workers'> {
  updates: number
}

export async function makeRunner(
  model: GoogLeNet,
  { optimizer, frozen, workers }: Settings,
  { updates, ...position }: Position,
  makeWorker: MakeWorker,
  emit: (event: WorkerEvent) => void,
): Promise<Runner> {
  if (!workers) return new SoloRunner(model, optimizer, frozen, updates)
  const { sync, backupWorkers, record, replay } = workers
  const pushes = replay === undefined ? undefined : await replayed(replay, workers, position)
  const log = record === undefined ? undefined : await PushLog.create(record, { workers: workers.workers, ...position })
  const team = new Team(
    workerPlaces(model.threads, workers).map((place, index) => makeWorker(model, place, index)),
    {
      ...{ optimizer, frozen, log, onError: workers.onWorkerError },
      ...workers,
      onDrop: (worker, error) => emit({ type: 'worker', worker, message: error.message, error }),
    },
    updates,
  )
  if (pushes) return new ReplayRunner(team, pushes)
  return sync ? new SyncRunner(team, backupWorkers) : new AsyncRunner(team)
}

async function replayed(path: string, { workers }: WorkerSettings, position: Omit<PushLogHeader, 'workers'>) {
  const { header, pushes } = await PushLog.read(path)
  for (const [key, value] of Object.entries({ workers, ...position })) {
    const recorded = header[key as keyof PushLogHeader]
    if (recorded !== value) throw mismatch(`${path} was recorded with ${key} ${recorded}, this run has ${value}`)
  }
  return pushes
}
