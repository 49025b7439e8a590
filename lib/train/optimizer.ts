/**
 * Optimisers as plain data; the updates themselves are native (cpu/simd/update.cc). All read the gradient as
 * g + weightDecay f' w and use the rate times f, with Caffe's factors per blob: f = 1, f' = 1 for weights, f = 2,
 * f' = 0 for biases (lr_mult, decay_mult).
 */
import { checkKnown, checkNumber, invalid } from '../options.js'

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
const LIMITS: Record<string, { min?: number; max?: number }> = { momentum: { max: 1 }, decay: { max: 1 } }

function make<O extends object>(kind: string, defaults: Required<O>, given: O) {
  checkKnown(kind, given, Object.keys(defaults))
  const options = { ...defaults }
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) options[key as keyof O] = checkNumber(key, value, LIMITS[key]) as never
  }
  if ('epsilon' in options && options.epsilon === 0) throw invalid('epsilon', 'a number above 0', 0)
  return options
}

/**
 * Caffe's SGD: v = momentum v + rate g; w -= v.
 *
 * @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT; so do the others
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  return { kind: 'sgd', ...make<SgdOptions>('sgd', { ...COMMON, momentum: 0.9 }, options) }
}

/** Nesterov's momentum as in Caffe: v' = momentum v + rate g; w -= (1 + momentum) v' - momentum v. */
export function nesterov(options: SgdOptions = {}): Optimizer {
  return { kind: 'nesterov', ...make<SgdOptions>('nesterov', { ...COMMON, momentum: 0.9 }, options) }
}

/** Adagrad (Duchi et al. 2011), on the parameter server as in Downpour SGD: s += g²; w -= rate g / (√s + epsilon). */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  return { kind: 'adagrad', ...make<AdagradOptions>('adagrad', { ...COMMON, epsilon: 1e-8, initial: 0 }, options) }
}

/**
 * RMSProp with momentum as TensorFlow trained Inception: s = decay s + (1 - decay) g²;
 * v = momentum v + rate g / √(s + epsilon); w -= v.
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const defaults = { ...COMMON, momentum: 0.9, decay: 0.9, epsilon: 1, initial: 1 }
  return { kind: 'rmsprop', ...make<RmspropOptions>('rmsprop', defaults, options) }
}
