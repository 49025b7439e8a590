/**
 * Optimisers as plain data; the updates themselves are native (cpu/simd/update.cc). All read the gradient as
 * g + weightDecay f' w and use the rate times f, with Caffe's factors per blob: f = 1, f' = 1 for weights, f = 2,
 * f' = 0 for biases (lr_mult, decay_mult).
 */
import { checkKnown, checkNumber, invalid, type NumberRange } from '../options.js'

interface Common {
  /** Used where no schedule gives one. Default 0.01 (BVLC solver.prototxt: base_lr). */
  rate?: number
  /** Default 0.0002 (BVLC solver.prototxt). */
  weightDecay?: number
  /** Global L2 norm beyond which a gradient is scaled down; 0 (default) = never. */
  clip?: number
}
export interface SgdOptions extends Common {
  /** Default 0.9 (paper, section 6). */
  momentum?: number
}
export interface AdagradOptions extends Common {
  /** Added to the root of the sum of squares; above 0. Default 1e-8 (Caffe). */
  epsilon?: number
  /** What the sum of squares starts from. Default 0 (Caffe; TensorFlow: 0.1). */
  initial?: number
}
export interface RmspropOptions extends Common {
  momentum?: number
  /** Of the mean of squares. Default 0.9. */
  decay?: number
  /** Added to the mean of squares under the root; above 0. Default 1 (TensorFlow's Inception). */
  epsilon?: number
  /** What the mean of squares starts from. Default 1 (TensorFlow). */
  initial?: number
}
type Kind<K extends string, O> = Readonly<Required<O>> & { readonly kind: K }
export type Optimizer =
  | Kind<'sgd', SgdOptions>
  | Kind<'nesterov', SgdOptions>
  | Kind<'adagrad', AdagradOptions>
  | Kind<'rmsprop', RmspropOptions>

/** What an optimiser keeps beside the weights. */
export const optimizerState = {
  sgd: ['momentum'],
  nesterov: ['momentum'],
  adagrad: ['squares'],
  rmsprop: ['momentum', 'squares'],
} as const satisfies Record<Optimizer['kind'], readonly ('momentum' | 'squares')[]>

const COMMON = { rate: 0.01, weightDecay: 2e-4, clip: 0 }
const DEFAULTS = {
  sgd: { ...COMMON, momentum: 0.9 },
  nesterov: { ...COMMON, momentum: 0.9 },
  adagrad: { ...COMMON, epsilon: 1e-8, initial: 0 },
  rmsprop: { ...COMMON, momentum: 0.9, decay: 0.9, epsilon: 1, initial: 1 },
} satisfies { [K in Optimizer['kind']]: Omit<Extract<Optimizer, { kind: K }>, 'kind'> }
const LIMITS: Record<string, NumberRange> = { momentum: { max: 1 }, decay: { max: 1 }, epsilon: { above: 0 } }

function make<K extends Optimizer['kind']>(kind: K, given: object): { kind: K } & (typeof DEFAULTS)[K] {
  checkKnown(kind, given, Object.keys(DEFAULTS[kind]))
  const options: Record<string, number> = { ...DEFAULTS[kind] }
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) options[key] = checkNumber(key, value, LIMITS[key])
  }
  return { kind, ...(options as (typeof DEFAULTS)[K]) }
}

/**
 * An optimiser is plain data that anyone may have changed: whoever hands one to the engine checks it again.
 *
 * @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT
 */
export function checkOptimizer(given: Optimizer): Optimizer {
  if (!given || !Object.hasOwn(DEFAULTS, given.kind)) {
    throw invalid('optimizer', 'what sgd(), nesterov(), adagrad() or rmsprop() returns', given)
  }
  const { kind, ...fields } = given
  const known = Object.keys(DEFAULTS[kind])
  checkKnown(`optimizer ${kind}`, fields, known)
  for (const key of known) checkNumber(`optimizer.${key}`, fields[key as keyof typeof fields], LIMITS[key])
  return given
}

/**
 * Caffe's SGD: v = momentum v + rate g; w -= v.
 *
 * @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT; so do the others
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  return make('sgd', options)
}

/** Nesterov's momentum as in Caffe: v' = momentum v + rate g; w -= (1 + momentum) v' - momentum v. */
export function nesterov(options: SgdOptions = {}): Optimizer {
  return make('nesterov', options)
}

/** Adagrad (Duchi et al. 2011), on the parameter server as in Downpour SGD: s += g²; w -= rate g / (√s + epsilon). */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  return make('adagrad', options)
}

/**
 * RMSProp with momentum as TensorFlow trained Inception: s = decay s + (1 - decay) g²;
 * v = momentum v + rate g / √(s + epsilon); w -= v.
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  return make('rmsprop', options)
}
