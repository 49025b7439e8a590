/**
 * How the demo trains: every figure that decides its result, in one place. Found by measurement; what else was tried,
 * and what each run gave, is in docs/decisions/0005-demo-recipe.md.
 */
import type { AugmentOptions } from './augment.js'
import type { Rgb } from './draw.js'
import type { EmojiStyle } from './icons.js'

export interface DemoRecipe {
  inputSize: number
  width: number
  auxiliary: boolean
  filler: 'xavier' | 'msra'
  dropout: { main: number; auxiliary: number }
  heldOutStyle: EmojiStyle
  background: Rgb
  batchSize: number
  epochs: number
  /** Highest rate; then half a cosine down to 0. */
  rate: number
  /** Share of the run in which the rate rises from 0. */
  warmupShare: number
  momentum: number
  weightDecay: number
  augment: AugmentOptions
}

const white: Rgb = [255, 255, 255]

export const demoRecipe: DemoRecipe = {
  inputSize: 64,
  width: 0.5,
  auxiliary: false,
  filler: 'xavier',
  dropout: { main: 0, auxiliary: 0.7 },
  heldOutStyle: 'twemoji',
  background: white,
  batchSize: 16,
  epochs: 24,
  rate: 0.004,
  warmupShare: 0.05,
  momentum: 0.9,
  weightDecay: 0.0002,
  augment: { mirror: 0.5, scale: 0.15, aspect: 0, shift: 0.06, brightness: 0.1, saturation: 0.1, background: white },
}
