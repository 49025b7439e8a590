/**
 * The settings of `googlenet train`: from a JSON file (`--config`, or the run that is resumed), overridden by flags.
 * The resolved ones are saved as config.json in the run's folder, which `--config` reads again.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { GoogLeNetError } from '../errors.js'
import { checkKnown, invalid } from '../options.js'
import { PRECISIONS } from '../precision.js'
import { type Average, average } from '../train/average.js'
import { adagrad, nesterov, type Optimizer, rmsprop, sgd } from '../train/optimizer.js'
import { type Schedule, schedules } from '../train/schedule.js'
import { WORKER_KEYS, type WorkerOptions } from '../train/worker-options.js'
import { readText } from '../weights/file.js'

export const SCHEDULES = ['paper', 'step', 'poly', 'cosine', 'constant'] as const
export const OPTIMIZERS = ['sgd', 'nesterov', 'adagrad', 'rmsprop'] as const
export const AVERAGES = ['none', 'polyak', 'ema'] as const
export const AUGMENTATIONS = ['inception', 'caffe', 'none'] as const

const count = z.int().min(0)
const positive = z.int().min(1)

const schema = z.object({
  data: z.string({ error: 'expected the folder of the training images, --data DIR' }),
  val: z.string().optional(),
  /** Model to fine-tune. */
  weights: z.string().optional(),
  out: z.string().default('run'),
  epochs: positive.default(10),
  batch: positive.default(32),
  lr: z.number().min(0).optional(),
  schedule: z.enum(SCHEDULES).default('paper'),
  warmup: count.default(0),
  optimizer: z.enum(OPTIMIZERS).default('sgd'),
  momentum: z.number().min(0).max(1).default(0.9),
  weightDecay: z.number().min(0).default(2e-4),
  clip: z.number().min(0).default(0),
  augment: z.enum(AUGMENTATIONS).default('inception'),
  average: z.enum(AVERAGES).default('none'),
  averageDecay: z.number().min(0).max(1).optional(),
  averageFrom: count.optional(),
  workers: positive.optional(),
  devices: z.array(z.string()).optional(),
  sync: z.boolean().optional(),
  backupWorkers: count.optional(),
  fetchEvery: positive.optional(),
  pushEvery: positive.optional(),
  staleness: z.enum(['none', 'scale']).optional(),
  maxStaleness: count.optional(),
  softsync: positive.optional(),
  momentumCorrection: z.boolean().optional(),
  onWorkerError: z.enum(['stop', 'drop']).optional(),
  record: z.string().optional(),
  replay: z.string().optional(),
  freeze: z.array(z.string()).default([]),
  strict: z.boolean().default(false),
  inputSize: positive.optional(),
  width: z.number().positive().optional(),
  block: z.enum(['reduced', 'naive']).optional(),
  device: z.string().optional(),
  threads: positive.optional(),
  precision: z.enum(PRECISIONS).optional(),
  exact: z.boolean().default(false),
  streams: positive.optional(),
  tune: z.boolean().default(false),
  seed: count.default(1),
})
export type TrainConfig = z.infer<typeof schema>

/** Flags as commander gives them; absent ones are undefined. */
export type TrainFlags = Partial<TrainConfig> & { config?: string; resume?: string; json?: boolean }

/** What a run's checkpoint decides. */
const OF_THE_NETWORK = { weights: '--weights', inputSize: '--input-size', width: '--width', block: '--block' }

/** @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT, and what reading the file throws */
export async function resolveTrainConfig({ config, resume, json: _, ...flags }: TrainFlags): Promise<TrainConfig> {
  const file = config ?? (resume && join(resume, 'config.json'))
  const given = file ? await readConfig(file) : {}
  // A log is of one process: going on with a run neither replays nor overwrites that of its beginning.
  if (resume) for (const key of ['record', 'replay']) delete given[key]
  if (resume)
    for (const [key, flag] of Object.entries(OF_THE_NETWORK))
      if (flags[key as keyof typeof flags] !== undefined)
        throw invalid(flag, 'nothing with --resume, which goes on with the network of the run', flags[key as 'width'])
  checkKnown(file ?? 'train', given, Object.keys(schema.shape))
  const set = Object.entries(flags).filter(([, value]) => value !== undefined)
  const result = schema.safeParse({ ...given, ...(resume && { out: resume }), ...Object.fromEntries(set) })
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  const source = file ? ` (${file} and flags)` : ''
  throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `train options${source}: ${problems.join('; ')}`)
}

async function readConfig(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path)
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (cause) {
    const message = `config file ${path} is not JSON: ${(cause as Error).message}`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', message, { cause })
  }
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config as Record<string, unknown>
  throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', `config file ${path}: expected an object, got ${text.trim()}`)
}

export function optimizerOf({ optimizer, momentum, weightDecay, clip }: TrainConfig, rate: number): Optimizer {
  const common = { rate, weightDecay, clip }
  if (optimizer === 'adagrad') return adagrad(common)
  return { sgd, nesterov, rmsprop }[optimizer]({ ...common, momentum })
}

export function scheduleOf({ schedule, warmup }: TrainConfig, base: number): Schedule {
  const inner = schedules[schedule]({ base })
  return warmup > 0 ? schedules.warmup(inner, { images: warmup }) : inner
}

export function averageOf({ average: kind, averageDecay, averageFrom: from }: TrainConfig): Average | undefined {
  if (averageDecay !== undefined && kind !== 'ema') throw invalid('--average-decay', "'--average ema'", kind)
  if (from !== undefined && kind === 'none') throw invalid('--average-from', "'--average polyak' or 'ema'", kind)
  if (kind === 'none') return undefined
  return kind === 'polyak' ? average.polyak({ from }) : average.ema({ decay: averageDecay, from })
}

/** The options of fit() that have the same names here. */
export function workerOptions(config: TrainConfig): WorkerOptions {
  return Object.fromEntries(WORKER_KEYS.map((key) => [key, config[key as keyof WorkerOptions]]))
}
