/**
 * How a decoded image becomes the network's input, as data; native/image carries it out. Three policies: `caffe`, with
 * which the BVLC weights were trained; `inception`, the paper's; `evaluate`, without chance.
 */
import { GoogLeNetError } from '../errors.js'
import type { AugmentPolicy } from '../native.js'
import { checkBoolean, checkKnown, invalid, show } from '../options.js'

export type { AugmentPolicy } from '../native.js'

/** ImageNet's mean, B, G, R on a scale of 0..255, as in BVLC's GoogLeNet. */
export const IMAGENET_MEAN: readonly [number, number, number] = [104, 117, 123]

const still: AugmentPolicy = {
  size: 224,
  resize: 'warp',
  resizeTo: 256,
  crop: 'center',
  areaMin: 0.08,
  areaMax: 1,
  aspectMin: 3 / 4,
  aspectMax: 4 / 3,
  mirror: 0,
  brightness: 0,
  contrast: 0,
  saturation: 0,
  lighting: 0,
  mean: IMAGENET_MEAN,
}

const words: Record<'resize' | 'crop', readonly string[]> = {
  resize: ['warp', 'short', 'none'],
  crop: ['center', 'random', 'area'],
}

// Inclusive bounds. areaMin and aspectMin are above 0 only in combination with the checks below.
const bounds: Record<Exclude<keyof AugmentPolicy, 'resize' | 'crop' | 'mean'>, readonly [number, number]> = {
  size: [1, 4096],
  resizeTo: [0, 65535],
  areaMin: [1e-4, 1],
  areaMax: [1e-4, 1],
  aspectMin: [1e-2, 100],
  aspectMax: [1e-2, 100],
  mirror: [0, 1],
  brightness: [0, 1],
  contrast: [0, 1],
  saturation: [0, 1],
  lighting: [0, 10],
}

function refuse(field: string, expected: string, value: unknown): never {
  throw new GoogLeNetError(
    'GOOGLENET_ERR_INVALID_ARGUMENT',
    `augmentation policy: ${field} must be ${expected}, not ${show(value)}`,
  )
}

/** Returns the policy, frozen. Throws INVALID_ARGUMENT or UNKNOWN_OPTION that names the field. */
export function checkPolicy(policy: AugmentPolicy): AugmentPolicy {
  if (typeof policy !== 'object' || policy === null)
    throw invalid('augmentation policy', 'what one of policies returns', policy)
  for (const name of Object.keys(policy))
    if (!(name in still))
      throw new GoogLeNetError(
        'GOOGLENET_ERR_UNKNOWN_OPTION',
        `augmentation policy: there is no '${name}'; there are ${Object.keys(still).join(', ')}`,
      )
  for (const [name, allowed] of Object.entries(words) as ['resize' | 'crop', readonly string[]][])
    if (!allowed.includes(policy[name])) refuse(name, `'${allowed.join("', '")}'`, policy[name])
  for (const [name, [low, high]] of Object.entries(bounds) as [keyof typeof bounds, readonly [number, number]][]) {
    const value: unknown = policy[name]
    if (typeof value !== 'number' || !(value >= low && value <= high))
      refuse(name, `a number in [${low}, ${high}]`, value)
  }
  for (const name of ['size', 'resizeTo'] as const)
    if (!Number.isInteger(policy[name])) refuse(name, 'a whole number', policy[name])
  if (policy.areaMin > policy.areaMax) refuse('areaMin', `at most areaMax (${policy.areaMax})`, policy.areaMin)
  if (policy.aspectMin > policy.aspectMax)
    refuse('aspectMin', `at most aspectMax (${policy.aspectMax})`, policy.aspectMin)
  if (policy.crop !== 'area' && policy.resize !== 'none' && policy.resizeTo < policy.size)
    refuse('resizeTo', `at least size (${policy.size})`, policy.resizeTo)
  const mean: unknown = policy.mean
  if (!Array.isArray(mean) || mean.length !== 3 || ![...mean].every(isSingle))
    refuse('mean', 'three numbers: B, G, R', mean)
  return Object.freeze({ ...policy })
}

function isSingle(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(Math.fround(value))
}

/** 256 stays 8/7 of the crop at other sizes, as in BVLC's 256 and 224. */
function resizeFor(size: number): number {
  return Math.round((size * 256) / 224)
}

interface Common {
  /** Output height and width; default 224. */
  size?: number
  /** B, G, R; default IMAGENET_MEAN. */
  mean?: readonly [number, number, number]
}

export const policies = {
  /** BVLC's training: warped to resize x resize (default 256, at other sizes 8/7 of `size`), a random crop of `size`,
   *  mirrored half of the time. */
  caffe(options: Common & { resize?: number; mirror?: boolean } = {}): AugmentPolicy {
    checkKnown('policies.caffe', options, ['size', 'resize', 'mirror', 'mean'])
    const { size = 224, resize = resizeFor(size), mirror = true, mean = IMAGENET_MEAN } = options
    checkBoolean('mirror', mirror)
    return checkPolicy({ ...still, size, resizeTo: resize, crop: 'random', mirror: mirror ? 0.5 : 0, mean })
  },

  /** The paper's: a box of 8 to 100 % of the area with an aspect (log-uniform) of 3/4 to 4/3 becomes size x size; mirror;
   *  Howard's photometric distortions: factors 0.5 to 1.5, lighting 0.1. `colour: false` leaves those out. */
  inception(options: Common & { colour?: boolean; mirror?: boolean; areaMin?: number } = {}): AugmentPolicy {
    checkKnown('policies.inception', options, ['size', 'colour', 'mirror', 'areaMin', 'mean'])
    const { size = 224, colour = true, mirror = true, areaMin = 0.08, mean = IMAGENET_MEAN } = options
    checkBoolean('colour', colour)
    checkBoolean('mirror', mirror)
    const factor = colour ? 0.5 : 0
    return checkPolicy({
      ...still,
      size,
      resize: 'none',
      crop: 'area',
      areaMin,
      mirror: mirror ? 0.5 : 0,
      brightness: factor,
      contrast: factor,
      saturation: factor,
      lighting: colour ? 0.1 : 0,
      mean,
    })
  },

  /** No chance: resized (default: warped to 256 x 256), the centre crop. */
  evaluate(options: Common & { resize?: number; mode?: AugmentPolicy['resize'] } = {}): AugmentPolicy {
    checkKnown('policies.evaluate', options, ['size', 'resize', 'mode', 'mean'])
    const { size = 224, resize = resizeFor(size), mode = 'warp', mean = IMAGENET_MEAN } = options
    return checkPolicy({ ...still, size, resize: mode, resizeTo: resize, mean })
  },

  /** Training without augmentation: the whole image warped to size x size. */
  none(options: Common = {}): AugmentPolicy {
    checkKnown('policies.none', options, ['size', 'mean'])
    const { size = 224, mean = IMAGENET_MEAN } = options
    return checkPolicy({ ...still, size, resizeTo: size, mean })
  },
}
