/**
 * The options of fit() that concern workers, checked and with their defaults filled in.
 */
import { checkWorkerDevice } from '../device.js'
import type { ComputeDevice } from '../native.js'
import { checkBoolean, checkInteger, checkOneOf, invalid } from '../options.js'
import type { Optimizer } from './optimizer.js'

export interface WorkerOptions {
  /**
   * Native workers, each with its own copy of the weights and its share of the model's threads. They train
   * asynchronously (Downpour SGD) on batches of `batchSize` each. Default: none, the model itself trains.
   */
  workers?: number
  /**
   * Devices that the workers are dealt out over in turns, of the kind of the model's, whose memory holds the weights that
   * all of them train: ['cuda:0', 'cuda:1']. Default: the model's own.
   */
  devices?: readonly ComputeDevice[]
  /** In step instead: one update with the mean of all workers' gradients, as one batch of workers · batchSize. */
  sync?: boolean
  /** With `sync`: so many late gradients a round are not waited for; their batches come again. Default 0. */
  backupWorkers?: number
  /** Steps between two fetches of the weights; between them a worker follows its own gradients. Default 1. */
  fetchEvery?: number
  /** Steps between two pushes; a push is the sum of the gradients since the last. Default 1. */
  pushEvery?: number
  /** 'scale': divide a gradient's rate by max(1, staleness) (arXiv 1511.05950). Default 'none'. */
  staleness?: 'none' | 'scale'
  /** A gradient staler than this is thrown away. Default: none is. */
  maxStaleness?: number
  /** n of n-softsync (arXiv 1511.05950): an update is the mean of floor(workers / n) gradients. Default: each alone. */
  softsync?: number
  /** Lower the momentum by the 1 - 1/workers that asynchrony adds of itself (arXiv 1605.09774). Default false. */
  momentumCorrection?: boolean
  /** What a worker's error does: 'stop' the run (default), or 'drop' the worker and give its batches to the others. */
  onWorkerError?: 'stop' | 'drop'
  /** Write the order of all pushes to this new file, from which `replay` repeats an asynchronous run bit for bit. */
  record?: string
  /** Repeat the run of a recorded file. */
  replay?: string
}

export const WORKER_KEYS = [
  ...['workers', 'devices', 'sync', 'backupWorkers', 'fetchEvery', 'pushEvery', 'staleness', 'maxStaleness'],
  ...['softsync', 'momentumCorrection', 'onWorkerError', 'record', 'replay'],
]

export interface WorkerSettings {
  workers: number
  devices: readonly ComputeDevice[]
  sync: boolean
  backupWorkers: number
  fetchEvery: number
  pushEvery: number
  scaleByStaleness: boolean
  maxStaleness: number | undefined
  /** Gradients an update is made of. */
  group: number
  onWorkerError: 'stop' | 'drop'
  record: string | undefined
  replay: string | undefined
}

/**
 * Undefined where the model, which is on `device`, trains alone.
 *
 * @throws GOOGLENET_ERR_INVALID_ARGUMENT, GOOGLENET_ERR_DEVICE_UNAVAILABLE
 */
export function resolveWorkers(options: WorkerOptions, device: ComputeDevice): WorkerSettings | undefined {
  const given = WORKER_KEYS.filter((key) => options[key as keyof WorkerOptions] !== undefined)
  if (options.workers === undefined) {
    const lone = given.find((key) => options[key as keyof WorkerOptions] !== false)
    if (lone) throw invalid('workers', `a number of workers, which '${lone}' is about`, undefined)
    return undefined
  }
  const workers = checkInteger('workers', options.workers, { min: 1, max: 256 })
  const sync = checkBoolean('sync', options.sync ?? false)
  checkBoolean('momentumCorrection', options.momentumCorrection ?? false)
  const asynchronous = ['fetchEvery', 'pushEvery', 'staleness', 'maxStaleness', 'softsync', 'replay'] as const
  const wrong = [...asynchronous, 'momentumCorrection' as const].find((key) => options[key])
  if (sync && wrong) throw invalid(wrong, "nothing, since workers in step ('sync') have none of it", options[wrong])
  if (!sync && options.backupWorkers) throw invalid('backupWorkers', "nothing without 'sync'", options.backupWorkers)
  if (options.record && options.replay) throw invalid('record', "nothing beside 'replay'", options.record)
  const softsync = options.softsync && checkInteger('softsync', options.softsync, { min: 1, max: workers })
  return {
    workers,
    devices: checkDevices(options.devices ?? [device], workers, device),
    sync,
    backupWorkers: checkInteger('backupWorkers', options.backupWorkers ?? 0, { max: workers - 1 }),
    fetchEvery: checkInteger('fetchEvery', options.fetchEvery ?? 1, { min: 1 }),
    pushEvery: checkInteger('pushEvery', options.pushEvery ?? 1, { min: 1 }),
    scaleByStaleness: checkOneOf('staleness', options.staleness ?? 'none', ['none', 'scale']) === 'scale',
    maxStaleness: options.maxStaleness === undefined ? undefined : checkInteger('maxStaleness', options.maxStaleness),
    group: softsync ? Math.floor(workers / softsync) : 1,
    onWorkerError: checkOneOf('onWorkerError', options.onWorkerError ?? 'stop', ['stop', 'drop']),
    record: options.record,
    replay: options.replay,
  }
}

function checkDevices(devices: readonly ComputeDevice[], workers: number, model: ComputeDevice) {
  if (!Array.isArray(devices) || devices.length === 0 || devices.length > workers)
    throw invalid('devices', `a list of 1 to ${workers} devices, no more than workers`, devices)
  return devices.map((device) => checkWorkerDevice('devices', device, model))
}

/** Batches that one update stands for; 1 where updates come as they come. */
export function batchesPerUpdate(settings: WorkerSettings | undefined): number {
  if (!settings) return 1
  return settings.sync ? settings.workers - settings.backupWorkers : settings.group * settings.pushEvery
}

/**
 * The momentum that, with what W asynchronous workers add of themselves (1 - 1/W: Mitliagkas et al. 2016), comes to
 * the one asked for; 0 where they add more than that.
 */
export function correctedMomentum(optimizer: Optimizer, workers: number): Optimizer {
  if (!('momentum' in optimizer)) return optimizer
  return { ...optimizer, momentum: Math.max(0, optimizer.momentum - (1 - 1 / workers)) }
}

/** What a worker computes with. */
export interface WorkerPlace {
  threads: number
  device: ComputeDevice
}

/** Where each worker computes: with an equal share of `threads` (the first ones one more, at least one each), on the
 *  devices in turns. */
export function workerPlaces(
  threads: number,
  { workers, devices }: Pick<WorkerSettings, 'workers' | 'devices'>,
): WorkerPlace[] {
  return Array.from({ length: workers }, (_, i) => ({
    threads: Math.max(1, Math.floor(threads / workers) + (i < threads % workers ? 1 : 0)),
    device: devices[i % devices.length]!,
  }))
}
