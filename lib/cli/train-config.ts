/**
 * The settings of `googlenet train`: from a JSON file (`--config`, or the run that is resumed), overridden by flags.
 * The resolved ones are saved as config.json in the run's folder, which `--config` reads again.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { GoogLeNetError } from '../errors.js'
import { checkKnown } from '../options.js'

export const SCHEDULES = ['paper', 'step', 'poly', 'cosine', 'constant'] as const
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
  momentum: z.number().min(0).max(1).default(0.9),
  weightDecay: z.number().min(0).default(2e-4),
  clip: z.number().min(0).default(0),
  augment: z.enum(AUGMENTATIONS).default('inception'),
  freeze: z.array(z.string()).default([]),
  strict: z.boolean().default(false),
  inputSize: positive.optional(),
  width: z.number().positive().optional(),
  block: z.enum(['reduced', 'naive']).optional(),
  device: z.string().optional(),
  threads: positive.optional(),
  exact: z.boolean().default(false),
  seed: count.default(1),
})
export type TrainConfig = z.infer<typeof schema>

/** Flags as commander gives them; absent ones are undefined. */
export type TrainFlags = Partial<TrainConfig> & { config?: string; resume?: string; json?: boolean }

/** @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT, and what reading the file throws */
export async function resolveTrainConfig({ config, resume, json: _, ...flags }: TrainFlags): Promise<TrainConfig> {
  const file = config ?? (resume && join(resume, 'config.json'))
  const given = file ? await readConfig(file) : {}
  checkKnown(file ?? 'train', given, Object.keys(schema.shape))
  const set = Object.entries(flags).filter(([, value]) => value !== undefined)
  const result = schema.safeParse({ ...given, ...(resume && { out: resume }), ...Object.fromEntries(set) })
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  const source = file ? ` (${file} and flags)` : ''
  throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `train options${source}: ${problems.join('; ')}`)
}

async function readConfig(path: string): Promise<object> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const code = cause.code === 'ENOENT' ? 'GOOGLENET_ERR_FILE_NOT_FOUND' : 'GOOGLENET_ERR_FILE_READ'
    throw new GoogLeNetError(code, `config file ${path}: ${cause.message}`, { cause })
  })
  try {
    return JSON.parse(text) as object
  } catch (cause) {
    const message = `config file ${path} is not JSON: ${(cause as Error).message}`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', message, { cause })
  }
}
