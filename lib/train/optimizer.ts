/**
 * Optimisers as plain data; the update itself is native (optim/sgd.cc). Caffe's rule, per parameter:
 * v = momentum v + rate f (g + decay f' w); w -= v, with f = 2 and f' = 0 for biases (lr_mult, decay_mult).
 */
import { checkKnown, checkNumber } from '../options.js'

export interface SgdOptions {
  /** Used where no schedule gives one. Default 0.01 (BVLC solver.prototxt: base_lr). */
  rate?: number
  /** Default 0.9 (paper, section 6). */
  momentum?: number
  /** Default 0.0002 (BVLC solver.prototxt). */
  weightDecay?: number
  /** Global L2 norm beyond which the gradient is scaled down; 0 (default) = never. */
  clip?: number
}
export type Optimizer = Readonly<Required<SgdOptions>> & { readonly kind: 'sgd' }

/** @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkKnown('sgd', options, ['rate', 'momentum', 'weightDecay', 'clip'])
  const { rate = 0.01, momentum = 0.9, weightDecay = 2e-4, clip = 0 } = options
  return {
    kind: 'sgd',
    rate: checkNumber('rate', rate),
    momentum: checkNumber('momentum', momentum, { max: 1 }),
    weightDecay: checkNumber('weightDecay', weightDecay),
    clip: checkNumber('clip', clip),
  }
}
