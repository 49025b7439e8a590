/**
 * Learning rates as pure functions of the images seen, so that they depend neither on the batch size nor on where
 * a run was resumed. Figures: paper, section 6; BVLC solver.prototxt and quick_solver.prototxt.
 */
import { checkKnown, checkNumber, invalid, type NumberRange } from '../options.js'

/** What a schedule may relate its position to. */
export interface Run {
  imagesPerEpoch: number
  /** Images of the whole run, all epochs. */
  totalImages: number
}
export interface Schedule {
  readonly name: string
  /** Plain values; saved with checkpoints. */
  readonly options: Readonly<Record<string, number | string>>
  rate(imagesSeen: number, run: Run): number
}

interface Base {
  /** The rate at the start. Default 0.01. */
  base?: number
}
type Numbers<T> = { [K in keyof T]-?: number }

const LIMITS: Record<string, NumberRange> = { every: { min: 1 } }

function schedule<T extends object>(
  name: string,
  defaults: Numbers<T>,
  given: T,
  rate: (options: Numbers<T>, imagesSeen: number, run: Run) => number,
): Schedule {
  checkKnown(`schedules.${name}`, given, Object.keys(defaults))
  const options = { ...defaults }
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) options[key as keyof T] = checkNumber(`schedules.${name} ${key}`, value, LIMITS[key])
  }
  return { name, options: { ...options } as Record<string, number>, rate: (seen, run) => rate(options, seen, run) }
}

/** From 0 at the start to 1 at the end of the run. */
function progress(imagesSeen: number, { totalImages }: Run): number {
  return totalImages > 0 ? Math.min(1, imagesSeen / totalImages) : 0
}

export const schedules = {
  /** The same rate throughout. */
  constant: (options: Base = {}): Schedule => schedule<Base>('constant', { base: 0.01 }, options, ({ base }) => base),

  /**
   * base · gamma^floor(images / every). `every` counts images; BVLC's solver has gamma 0.96 and 320,000 iterations
   * of 32 = 10,240,000 images (both defaults).
   */
  step: (options: Base & { gamma?: number; every?: number } = {}): Schedule =>
    schedule<Base & { gamma?: number; every?: number }>(
      'step',
      { base: 0.01, gamma: 0.96, every: 10_240_000 },
      options,
      ({ base, gamma, every }, seen) => base * gamma ** Math.floor(seen / every),
    ),

  /** base · (1 - progress)^power; BVLC's quick_solver has power 0.5 (default). */
  poly: (options: Base & { power?: number } = {}): Schedule =>
    schedule<Base & { power?: number }>('poly', { base: 0.01, power: 0.5 }, options, ({ base, power }, seen, run) => {
      return base * (1 - progress(seen, run)) ** power
    }),

  /** Half a cosine from base to final (default 0). */
  cosine: (options: Base & { final?: number } = {}): Schedule =>
    schedule<Base & { final?: number }>('cosine', { base: 0.01, final: 0 }, options, ({ base, final }, seen, run) => {
      return final + ((base - final) * (1 + Math.cos(Math.PI * progress(seen, run)))) / 2
    }),

  /** The paper's: 4 % less every 8 epochs. */
  paper: (options: Base = {}): Schedule =>
    schedule<Base>('paper', { base: 0.01 }, options, ({ base }, seen, { imagesPerEpoch }) => {
      return base * 0.96 ** Math.floor(seen / (8 * imagesPerEpoch))
    }),

  /** Another schedule whose rate first rises linearly from `from` times its value (default 0) over `images`. */
  warmup: (inner: Schedule, options: { images: number; from?: number }): Schedule => {
    if (typeof inner?.rate !== 'function') throw invalid('schedules.warmup', 'a schedule to wrap', inner)
    type Warmup = { images: number; from?: number }
    const rise = schedule<Warmup>('warmup', { images: 0, from: 0 }, options, ({ images, from }, seen) => {
      return seen < images ? from + ((1 - from) * seen) / images : 1
    })
    checkNumber('schedules.warmup images', options.images)
    return {
      name: `warmup+${inner.name}`,
      options: { ...inner.options, warmupImages: options.images, warmupFrom: options.from ?? 0 },
      rate: (seen, run) => rise.rate(seen, run) * inner.rate(seen, run),
    }
  },
}
