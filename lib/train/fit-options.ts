/**
 * What fit() takes, checked and with its defaults filled in before anything is read or computed.
 */
import { type AugmentPolicy, checkPolicy, policies } from '../data/augment.js'
import type { ImageFolder } from '../data/dataset.js'
import { checkSignal } from '../lifetime.js'
import type { GoogLeNet } from '../model/model.js'
import type { AverageOptions } from '../native.js'
import { checkBoolean, checkInteger, checkKnown, checkOneOf, checkPath, checkStrings, invalid } from '../options.js'
import { type Average, checkAverage } from './average.js'
import { frozenParameters } from './freeze.js'
import { checkOptimizer, type Optimizer, sgd } from './optimizer.js'
import { type Schedule, schedules } from './schedule.js'
import {
  batchesPerUpdate,
  correctedMomentum,
  resolveWorkers,
  WORKER_KEYS,
  type WorkerOptions,
  type WorkerSettings,
} from './worker-options.js'

export interface FitOptions extends WorkerOptions {
  /** Total, also of a resumed run. Default 10. */
  epochs?: number
  /** Images a step, of each worker. Default 32 (BVLC); at most the size of the dataset. */
  batchSize?: number
  /** Default sgd(). */
  optimizer?: Optimizer
  /** Default: the optimizer's rate throughout. */
  schedule?: Schedule
  /**
   * Average of the weights that is kept beside them; validated, chosen, and with `out` saved as best/model.safetensors.
   * The model itself goes on with the weights. Default: none.
   */
  average?: Average
  /** Evaluated after each epoch; must have the training data's classes. */
  validation?: ImageFolder
  /** 'inception': the paper's (default); 'caffe': BVLC's; 'none'; or a policy of your own. */
  augment?: 'inception' | 'caffe' | 'none' | AugmentPolicy
  /** Patterns of layer or parameter names that stay as they are: 'conv*', 'inception_3?/*'. */
  freeze?: string | readonly string[]
  /** Folder for checkpoints (`last/`, `best/`), metrics.jsonl and config.json. Default: that of `resume`, or none. */
  out?: string
  /** Folder of a run to go on with, bit for bit: weights, momentum, counters and data position. */
  resume?: string
  /** Also save `last/` every so many steps. Default 0: after each epoch and when the run is stopped. */
  checkpointEvery?: number
  /** Of data order and augmentation. Default: the model's, or that of the resumed run. */
  seed?: number
  /** An image that cannot be decoded is an error instead of a 'skip' event. Default false. */
  strict?: boolean
  /** Decoding threads. Default: all. */
  threads?: number
  /** What config.json says. Default: these options. */
  config?: Readonly<Record<string, unknown>>
  /** Stops after the step under way, saves if there is an `out`, and ends the loop with an AbortError. */
  signal?: AbortSignal
}

/** FitOptions with nothing left open. */
export interface Settings {
  epochs: number
  batchSize: number
  optimizer: Optimizer
  schedule: Schedule
  validation?: ImageFolder
  workers: WorkerSettings | undefined
  average: AverageOptions | undefined
  policy: AugmentPolicy
  frozen: readonly string[]
  out?: string
  resume?: string
  checkpointEvery: number
  seed?: number
  strict: boolean
  threads: number
  config: Readonly<Record<string, unknown>>
  signal?: AbortSignal
}

const KEYS = [
  ...WORKER_KEYS,
  ...['epochs', 'batchSize', 'optimizer', 'schedule', 'average', 'validation', 'augment', 'freeze', 'out', 'resume'],
  ...['checkpointEvery', 'seed', 'strict', 'threads', 'config', 'signal'],
]

/** @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT */
export function resolveFit(model: GoogLeNet, data: ImageFolder, options: FitOptions): Settings {
  checkKnown('fit', options, KEYS)
  const { validation, signal, resume, strict = false, freeze = [], augment = 'inception' } = options
  checkFolder('data', data)
  if (validation !== undefined) checkFolder('validation', validation)
  checkSignal(signal)
  checkBoolean('strict', strict)
  for (const key of ['out', 'resume', 'record', 'replay'] as const) {
    if (options[key] !== undefined) checkPath(key, options[key])
  }
  if (data.classes.length !== model.classes) {
    throw invalid('data', `${model.classes} classes, as the model has`, `${data.classes.length} in ${data.dir}`)
  }
  if (validation && String(validation.classes) !== String(data.classes)) {
    throw invalid('validation', `the classes of the training data (${data.classes.join(', ')})`, validation.classes)
  }
  const workers = resolveWorkers(options, model.device)
  const given = checkOptimizer(options.optimizer ?? sgd())
  const optimizer = workers && options.momentumCorrection ? correctedMomentum(given, workers.workers) : given
  const average = options.average && checkAverage(options.average)
  const schedule = options.schedule ?? schedules.constant({ base: optimizer.rate })
  if (typeof schedule.rate !== 'function') throw invalid('schedule', 'one of schedules', schedule)
  const size = model.options.inputSize
  const policy =
    typeof augment === 'object'
      ? checkPolicy(augment)
      : policies[checkOneOf('augment', augment, ['inception', 'caffe', 'none'])]({ size })
  if (policy.size !== size) throw invalid('augment', `a policy of size ${size}, the model's input`, policy.size)
  const patterns = typeof freeze === 'string' ? [freeze] : checkStrings('freeze', freeze, 'a pattern or a list of them')
  const epochs = checkInteger('epochs', options.epochs ?? 10, { min: 1 })
  const batchSize = Math.min(checkInteger('batchSize', options.batchSize ?? 32, { min: 1 }), data.length)
  const updates = (epochs * Math.floor(data.length / batchSize)) / batchesPerUpdate(workers)
  return {
    epochs,
    batchSize,
    optimizer,
    workers,
    average: average && { ...average, from: average.from ?? Math.floor(updates / 2) },
    schedule,
    validation,
    policy,
    frozen: frozenParameters(patterns, model.parameterNames()),
    out: options.out ?? resume,
    resume,
    checkpointEvery: checkInteger('checkpointEvery', options.checkpointEvery ?? 0),
    seed: options.seed === undefined ? undefined : checkInteger('seed', options.seed, { max: 2 ** 32 - 1 }),
    strict,
    threads: checkInteger('threads', options.threads ?? 0),
    config: options.config ?? {
      ...{ data: data.dir, validation: validation?.dir, model: model.options, epochs, batchSize, optimizer },
      ...{ schedule: { name: schedule.name, ...schedule.options }, augment: policy, freeze: patterns },
      ...{ workers, average },
    },
    signal,
  }
}

function checkFolder(name: string, data: ImageFolder): void {
  if (!Array.isArray(data?.classes) || !Array.isArray(data.samples)) throw invalid(name, 'an ImageFolder', data)
}
