/**
 * How far a GPU's results may lie from the processor's, relative to a tensor's largest value, by the precision it
 * computes in. tf32 and bf16 get a line each here when the backend computes in them: the cases' writer, the driver's
 * `case` lines and gpu.test.ts then take the precision along.
 */
export const tolerances = {
  /** Without tensor cores: products and sums round as on the processor, in another order. */
  f32: {
    operation: 1e-5,
    /** Of all layers in a row, without decisions close to a tie. */
    network: 5e-5,
    loss: 1e-4,
    /** ReLUs and maxima that two roundings decide differently move whole gradients. */
    gradientNorm: 1e-2,
  },
} as const
