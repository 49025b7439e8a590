/**
 * How far a GPU's results may lie from the processor's, relative to a tensor's largest value, by the precision it
 * computes in. A precision that the CUDA backend learns gets a line here, and the suites below run in it too.
 */
export const tolerances = {
  /** Without tensor cores: products and sums round as on the processor, in another order. */
  f32: {
    operation: 1e-5,
    /** Of all layers in a row, without decisions close to a tie. */
    network: 5e-5,
    probability: 1e-5,
    loss: 1e-4,
    /** ReLUs and maxima that two roundings decide differently move whole gradients. */
    gradientNorm: 1e-2,
  },
} as const

export type Precision = keyof typeof tolerances
export const precisions = Object.keys(tolerances) as Precision[]
