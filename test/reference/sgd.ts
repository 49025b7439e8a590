/** Caffe's SGD in float64: v = m v + rate f (g + decay d w), w -= v, with f, d = 1, 1 for weights and 2, 0 for biases. */
import type { Parameters } from './layer.js'

export interface SgdOptions {
  rate: number
  momentum: number
  weightDecay: number
  /** Global L2 norm beyond which gradients are scaled down; 0: never. */
  clip: number
}

export class Sgd {
  readonly #options: SgdOptions
  readonly #velocity: Parameters = {}

  constructor(options: SgdOptions) {
    this.#options = options
  }

  /** Changes the parameters; returns the norm of the gradient before clipping. */
  step(parameters: Parameters, gradients: Parameters): number {
    const { rate, momentum, weightDecay, clip } = this.#options
    const squares = Object.values(gradients).map((g) => g.reduce((sum, value) => sum + value * value, 0))
    const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0))
    const scale = clip > 0 && norm > clip ? clip / norm : 1
    for (const [name, w] of Object.entries(parameters)) {
      const g = gradients[name]!
      const [rateFactor, decayFactor] = name.endsWith('.bias') ? [2, 0] : [1, 1]
      this.#velocity[name] ??= new Float64Array(w.length)
      const v = this.#velocity[name]
      for (let i = 0; i < w.length; i++) {
        v[i] = momentum * v[i]! + rate * rateFactor * (scale * g[i]! + weightDecay * decayFactor * w[i]!)
        w[i]! -= v[i]!
      }
    }
    return norm
  }
}
