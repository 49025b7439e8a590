/**
 * The row types of a network table: plain data, one row a layer, in topological order, names and attributes as in
 * Caffe. Native code infers shapes, parameters and costs from the rows (native/core/graph.cc); nothing else
 * describes a network. A row's output blob has the row's name. Fused ReLU: `relu: true`.
 */

/** `[h, w]` or one number for both. */
export type Pair = number | readonly [number, number]

/** Caffe fillers: xavier = U(-a, a) with a = sqrt(3 / fanIn); msra = N(0, sqrt(2 / fanIn)). */
export type Filler = { type: 'xavier' } | { type: 'msra' } | { type: 'constant'; value: number }

/** 'train' rows exist only in training plans, 'inference' rows only in inference plans; default: both. */
export type Phase = 'train' | 'inference'

interface Row {
  name: string
  phase?: Phase
}
interface Weighted {
  /** Output channels (Caffe: num_output). */
  outputs: number
  /** Caffe: bias_term, default true. */
  bias?: boolean
  relu?: boolean
  weightFiller?: Filler
  biasFiller?: Filler
}

export interface InputRow extends Row {
  op: 'input'
  channels: number
  height: number
  width: number
  /** Plain NCHW with unpadded channels: the form the first convolution reads. No gradient reaches it. */
  planar?: boolean
}
export interface ConvRow extends Row, Weighted {
  op: 'conv'
  src: string
  kernel: Pair
  stride?: Pair
  pad?: Pair
  dilation?: Pair
  groups?: number
}
export interface PoolRow extends Row {
  op: 'pool'
  src: string
  kind: 'max' | 'average'
  /** 'global': the whole source. */
  kernel: Pair | 'global'
  stride?: Pair
  pad?: Pair
  /** Output size rounding, Caffe's default 'ceil'. */
  round?: 'ceil' | 'floor'
}
export interface LrnRow extends Row {
  op: 'lrn'
  src: string
  /** Odd. */
  size: number
  alpha: number
  beta: number
  /** Default 1. */
  k?: number
  region?: 'across' | 'within'
}
export interface ConcatRow extends Row {
  op: 'concat'
  src: readonly string[]
}
export interface DropoutRow extends Row {
  op: 'dropout'
  src: string
  /** Probability of dropping; kept values are scaled by 1 / (1 - ratio) while training. */
  ratio: number
}
/** Fully connected (Caffe InnerProduct), over (C, H, W) flattened. */
export interface LinearRow extends Row, Weighted {
  op: 'linear'
  src: string
}
export interface SoftmaxRow extends Row {
  op: 'softmax'
  src: string
}
/** Caffe SoftmaxWithLoss: mean over the batch of -log p[label], times weight in the total. Output: probabilities. */
export interface LossRow extends Row {
  op: 'loss'
  src: string
  weight: number
}
export type LayerRow = InputRow | ConvRow | PoolRow | LrnRow | ConcatRow | DropoutRow | LinearRow | SoftmaxRow | LossRow
