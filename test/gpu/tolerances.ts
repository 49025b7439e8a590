/**
 * How far a GPU's results may lie from the processor's and from the float64 reference, relative to a tensor's largest
 * value, by the precision it computes in. A sum of k products, each rounded by some e, is off by about sqrt(k) · e of
 * terms that grow with sqrt(k) too: relative to the largest result e itself remains, however long the sum.
 */
export interface Tolerances {
  /** Of one layer, its sources as the device has computed them. */
  operation: number
  /** Of gradients that have passed many layers, decisions at ReLUs and maxima being the device's or far from a tie. */
  network: number
  /** Of a network's training steps. ReLUs and maxima that two roundings decide differently move whole gradients. */
  loss: number
  gradientNorm: number
  /** Absolute: of a trained narrow network, and of the whole one on Caffe's two photos. */
  probabilities: number
  caffe: number
}

/**
 * What the simulated device keeps, which rounds to the nearest. f32: 2^-24 = 6e-8, test/ops/parity.ts says more. One
 * rounding is off by up to 2^-11 = 5e-4 in tf32 and 2^-9 = 2e-3 in bf16; a layer rounds its sources, weights and result.
 * What is wrong shows at 1e-1.
 *
 * The last four of tf32 and bf16 are about twice what was seen there or more: 20 steps carry every rounding on. Seen:
 * losses 4.2e-3 and 7.7e-3, gradient norms 7.3e-2 and 0.11, probabilities 1.6e-3 and 6.1e-3, Caffe's 1.5e-3 and 4.7e-3 (the
 * largest is 0.69).
 */
export const simulatedTolerances = {
  f32: { operation: 1e-5, network: 5e-5, loss: 1e-4, gradientNorm: 1e-2, probabilities: 1e-4, caffe: 1e-5 },
  tf32: { operation: 1e-3, network: 5e-3, loss: 8e-3, gradientNorm: 0.15, probabilities: 5e-3, caffe: 3e-3 },
  bf16: { operation: 8e-3, network: 5e-2, loss: 2.5e-2, gradientNorm: 0.25, probabilities: 1.5e-2, caffe: 1e-2 },
} as const satisfies Record<string, Tolerances>

/**
 * What a GPU may do. Tensor cores that get f32 may cut off what tf32 lacks instead of rounding it: twice as far, 2^-10 a
 * factor, and always towards zero, so it does not cancel. That is still half of bf16's rounding.
 */
export const tolerances = {
  ...simulatedTolerances,
  tf32: { ...simulatedTolerances.bf16, operation: 3e-3, network: 1.5e-2 },
} as const satisfies Record<string, Tolerances>
