/**
 * The network table: GoogLeNet as BVLC Caffe trained it (models/bvlc_googlenet/train_val.prototxt; paper, table 1),
 * as plain rows. Everything else (shapes, parameters, costs, import names, plans) is derived from what googlenet()
 * returns. Rows carry Caffe's blob names, so that weights are imported without renaming.
 * Differences from the paper's text: pool1 comes before norm1, and conv1 is an ordinary 7x7 convolution.
 */
import { GoogLeNetError } from '../errors.js'
import type { ConvRow, Filler, LayerRow, LinearRow, PoolRow } from './layer.js'

export interface NetworkOptions {
  /** Outputs of the classifiers. Default 1000. */
  classes?: number
  /** Height and width of the input in pixels. Default 224, at least MIN_INPUT_SIZE. */
  inputSize?: number
  /** Multiplies every channel count but the classes; rounded to a multiple of 8, at least 8. Default 1. */
  width?: number
  /** The two auxiliary heads on 4a and 4d with loss weight 0.3, present while training. Default true. */
  auxiliary?: boolean
  /** Probability of dropping before the classifiers. Default main 0.4, auxiliary 0.7. */
  dropout?: Dropout
  /** 'reduced': the paper's figure 2b, with 1x1 reductions (default). 'naive': figure 2a, for comparison. */
  block?: 'reduced' | 'naive'
  /** 'xavier': as Caffe, with biases of 0.2 before each ReLU (default). 'msra': He's, with biases of 0. */
  filler?: 'xavier' | 'msra'
}
export interface Dropout {
  main?: number
  auxiliary?: number
}

/** Below it the fourth pooling has a single position left to pool, for which Caffe's output would be empty. */
export const MIN_INPUT_SIZE = 31

/** The classifiers, which depend on the number of classes: a new task replaces them. */
export const CLASSIFIERS = ['loss1/classifier', 'loss2/classifier', 'loss3/classifier'] as const

/** The main head's loss row, and the blob that holds the probabilities at inference. */
export const MAIN_LOSS = 'loss3/loss3'
export const PROBABILITIES = 'prob'

/** Output channels of a module's convolutions (paper, table 1, the columns from #1x1 to pool proj). */
type Widths = readonly [
  one: number,
  threeReduce: number,
  three: number,
  fiveReduce: number,
  five: number,
  poolProj: number,
]
const MODULES: Record<string, Widths> = {
  '3a': [64, 96, 128, 16, 32, 32],
  '3b': [128, 128, 192, 32, 96, 64],
  '4a': [192, 96, 208, 16, 48, 64],
  '4b': [160, 112, 224, 24, 64, 64],
  '4c': [128, 128, 256, 24, 64, 64],
  '4d': [112, 144, 288, 32, 64, 64],
  '4e': [256, 160, 320, 32, 128, 128],
  '5a': [256, 160, 320, 32, 128, 128],
  '5b': [384, 192, 384, 48, 128, 128],
}

/**
 * The rows of the network, in topological order. Blobs are (N, C, H, W).
 *
 * @throws GOOGLENET_ERR_INVALID_ARGUMENT for an input too small to reach the last pooling
 */
export function googlenet(options: NetworkOptions = {}): LayerRow[] {
  const { classes = 1000, inputSize = 224, width = 1, auxiliary = true, block = 'reduced' } = options
  const dropout = { main: 0.4, auxiliary: 0.7, ...options.dropout }
  if (inputSize < MIN_INPUT_SIZE) {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_INVALID_ARGUMENT',
      `inputSize: expected at least ${MIN_INPUT_SIZE} pixels, because less leaves nothing to pool ` +
        `for the fourth pooling; got ${inputSize}`,
    )
  }
  const make = maker(width, options.filler ?? 'xavier')
  const { conv } = make
  const rows: LayerRow[] = []

  const chain = (row: ConvRow | PoolRow | LayerRow) => {
    rows.push(row)
    return row.name
  }
  let top = chain({ op: 'input', name: 'data', channels: 3, height: inputSize, width: inputSize, planar: true })
  top = chain(conv('conv1/7x7_s2', top, 64, 7, { stride: 2, pad: 3 }))
  top = chain(halve('pool1/3x3_s2', top))
  top = chain(norm('pool1/norm1', top))
  top = chain(conv('conv2/3x3_reduce', top, 64, 1))
  top = chain(conv('conv2/3x3', top, 192, 3, { pad: 1 }))
  top = chain(norm('conv2/norm2', top))
  top = chain(halve('pool2/3x3_s2', top))

  const size = sizes(inputSize)
  for (const [id, widths] of Object.entries(MODULES)) {
    for (const row of inception(`inception_${id}`, top, widths, block, conv)) top = chain(row)
    if (id === '3b') top = chain(halve('pool3/3x3_s2', top))
    if (id === '4e') top = chain(halve('pool4/3x3_s2', top))
    if (!auxiliary) continue
    if (id === '4a') rows.push(...auxiliaryHead('loss1', top, classes, size.pool3, dropout.auxiliary, make))
    if (id === '4d') rows.push(...auxiliaryHead('loss2', top, classes, size.pool3, dropout.auxiliary, make))
  }

  const kernel = size.pool4 === 7 ? 7 : 'global'
  top = chain({ op: 'pool', name: 'pool5/7x7_s1', src: top, kind: 'average', kernel, stride: 1 })
  top = chain({ op: 'dropout', name: 'pool5/drop_7x7_s1', src: top, ratio: dropout.main })
  top = chain(make.classifier('loss3/classifier', top, classes))
  rows.push({ op: 'softmax', name: PROBABILITIES, src: top, phase: 'inference' })
  rows.push({ op: 'loss', name: MAIN_LOSS, src: top, weight: 1, phase: 'train' })
  return rows
}

type ConvMaker = ReturnType<typeof maker>['conv']

/** The rows of one Inception module, figure 2 of the paper; the last is its output. */
function* inception(name: string, src: string, widths: Widths, block: 'reduced' | 'naive', conv: ConvMaker) {
  const [one, threeReduce, three, fiveReduce, five, poolProj] = widths
  const reduced = block === 'reduced'
  yield conv(`${name}/1x1`, src, one, 1)
  if (reduced) yield conv(`${name}/3x3_reduce`, src, threeReduce, 1)
  yield conv(`${name}/3x3`, reduced ? `${name}/3x3_reduce` : src, three, 3, { pad: 1 })
  if (reduced) yield conv(`${name}/5x5_reduce`, src, fiveReduce, 1)
  yield conv(`${name}/5x5`, reduced ? `${name}/5x5_reduce` : src, five, 5, { pad: 2 })
  yield { op: 'pool', name: `${name}/pool`, src, kind: 'max', kernel: 3, stride: 1, pad: 1 } satisfies LayerRow
  if (reduced) yield conv(`${name}/pool_proj`, `${name}/pool`, poolProj, 1)
  const branches = ['1x1', '3x3', '5x5', reduced ? 'pool_proj' : 'pool'].map((branch) => `${name}/${branch}`)
  yield { op: 'concat', name: `${name}/output`, src: branches } satisfies LayerRow
}

/** Paper, section 5: average pooling, 128 1x1 filters, 1024 units, dropout, classifier; loss weight 0.3. */
function auxiliaryHead(
  name: 'loss1' | 'loss2',
  src: string,
  classes: number,
  size: number,
  ratio: number,
  { conv, hidden, classifier }: ReturnType<typeof maker>,
): LayerRow[] {
  const rows: LayerRow[] = [
    { op: 'pool', name: `${name}/ave_pool`, src, kind: 'average', kernel: Math.min(5, size), stride: 3 },
    conv(`${name}/conv`, `${name}/ave_pool`, 128, 1),
    hidden(`${name}/fc`, `${name}/conv`, 1024),
    { op: 'dropout', name: `${name}/drop_fc`, src: `${name}/fc`, ratio },
    classifier(`${name}/classifier`, `${name}/drop_fc`, classes),
    { op: 'loss', name: `${name}/${name}`, src: `${name}/classifier`, weight: 0.3 },
  ]
  return rows.map((row) => ({ ...row, phase: 'train' }))
}

/** Makers of weighted rows that share the channel multiplier and the fillers. */
function maker(width: number, filler: 'xavier' | 'msra') {
  const channels = (count: number) => Math.max(8, 8 * Math.round((count * width) / 8))
  const weightFiller: Filler = { type: filler }
  const constant = (value: number): Filler => ({ type: 'constant', value })
  const rectified = { relu: true, weightFiller, biasFiller: constant(filler === 'xavier' ? 0.2 : 0) }
  return {
    conv: (
      name: string,
      src: string,
      outputs: number,
      kernel: number,
      geometry?: Pick<ConvRow, 'stride' | 'pad'>,
    ): ConvRow => ({ op: 'conv', name, src, outputs: channels(outputs), kernel, ...geometry, ...rectified }),
    hidden: (name: string, src: string, outputs: number): LinearRow => ({
      op: 'linear',
      name,
      src,
      outputs: channels(outputs),
      ...rectified,
    }),
    classifier: (name: string, src: string, outputs: number): LinearRow => ({
      op: 'linear',
      name,
      src,
      outputs,
      weightFiller,
      biasFiller: constant(0),
    }),
  }
}

function halve(name: string, src: string): PoolRow {
  return { op: 'pool', name, src, kind: 'max', kernel: 3, stride: 2 }
}

function norm(name: string, src: string): LayerRow {
  return { op: 'lrn', name, src, size: 5, alpha: 1e-4, beta: 0.75 }
}

/** Height and width after pool3 and pool4: the heads' poolings fit themselves to them. */
function sizes(inputSize: number): { pool3: number; pool4: number } {
  const half = (size: number) => Math.ceil((size - 3) / 2) + 1
  const conv1 = Math.floor((inputSize - 1) / 2) + 1
  const pool3 = half(half(half(conv1)))
  return { pool3, pool4: half(pool3) }
}
