/**
 * Averages of the weights over the updates, kept beside any optimiser; the averaged weights are those that are
 * validated, chosen and saved for inference (paper, section 6: Polyak averaging). Plain data; the arithmetic is native
 * (optim/average.h).
 */
import { checkInteger, checkKnown, checkNumber, invalid } from '../options.js'

export type Average =
  | { readonly kind: 'polyak'; readonly from: number | undefined }
  | { readonly kind: 'ema'; readonly decay: number; readonly from: number }

export const average = {
  /**
   * The uniform mean of the weights after each update behind number `from` (Polyak and Juditsky 1992). Default: the
   * second half of the run.
   *
   * @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT
   */
  polyak(options: { from?: number } = {}): Average {
    checkKnown('average.polyak', options, ['from'])
    return { kind: 'polyak', from: options.from === undefined ? undefined : checkInteger('from', options.from) }
  },

  /**
   * An exponential mean: average += (1 - d) (w - average), with d = min(decay, (1 + t) / (10 + t)) at the t-th update
   * behind `from` (TensorFlow's ExponentialMovingAverage). Default decay 0.999, for runs of some thousand updates;
   * TensorFlow's Inception has 0.9999.
   *
   * @throws GOOGLENET_ERR_UNKNOWN_OPTION, GOOGLENET_ERR_INVALID_ARGUMENT
   */
  ema(options: { decay?: number; from?: number } = {}): Average {
    checkKnown('average.ema', options, ['decay', 'from'])
    const { decay = 0.999, from = 0 } = options
    return { kind: 'ema', decay: checkNumber('decay', decay, { max: 1 }), from: checkInteger('from', from) }
  },
}

/** Plain data that anyone may have changed: checked again where it is used. @throws as average.polyak and average.ema */
export function checkAverage(given: Average): Average {
  if (!Object.hasOwn(average, given.kind)) throw invalid('average', 'what average.polyak() or ema() returns', given)
  const { kind, ...options } = given
  return average[kind](options)
}
