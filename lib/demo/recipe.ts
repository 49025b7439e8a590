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
  // 32, 16, 8, 4, 2 pixels after the stem and the poolings. 96 learned no more per image, at 1.6 times the cost.
  inputSize: 64,
  // A quarter of the width learns less from as many images; the whole width sees too few in two minutes.
  width: 0.5,
  // The heads exist for depth at 224 pixels; here they cost time and gain nothing.
  auxiliary: false,
  filler: 'xavier',
  // The run is too short to overfit; dropout only slows it.
  dropout: { main: 0, auxiliary: 0.7 },
  // Its margins and colours are the most ordinary of the four; the decision record has the other styles' figures.
  heldOutStyle: 'twemoji',
  background: white,
  batchSize: 16,
  epochs: 30,
  // BVLC's 0.01 with batches of 32 learns more slowly here; 0.0025 and 0.007 were both worse.
  rate: 0.004,
  warmupShare: 0.05,
  momentum: 0.9,
  weightDecay: 0.0002,
  // Styles differ in colour more than in shape: the colour knobs decide how well a new style is recognised.
  augment: { mirror: 0.5, scale: 0.15, aspect: 0, shift: 0.06, brightness: 0.25, saturation: 0.4, background: white },
}
