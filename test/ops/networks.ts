/** Cases of several layers: concatenations in place, blobs with several readers, several losses; all in miniature. */
import type { ConvRow, LayerRow } from '../../lib/model/layer.js'
import { type Case, input } from './case.js'

function conv(name: string, src: string, outputs: number, kernel = 1, more: Partial<ConvRow> = {}): ConvRow {
  return { op: 'conv', name, src, outputs, kernel, pad: (kernel - 1) / 2, relu: true, ...more }
}

interface Widths {
  one: number
  three: readonly [reduce: number, outputs: number]
  five: readonly [reduce: number, outputs: number]
  projection: number
}

/** An Inception module: the paper's figure 2b. */
function reduced(name: string, src: string, { one, three, five, projection }: Widths): LayerRow[] {
  return [
    conv(`${name}/1x1`, src, one),
    conv(`${name}/3x3_reduce`, src, three[0]),
    conv(`${name}/3x3`, `${name}/3x3_reduce`, three[1], 3),
    conv(`${name}/5x5_reduce`, src, five[0]),
    conv(`${name}/5x5`, `${name}/5x5_reduce`, five[1], 5),
    { op: 'pool', name: `${name}/pool`, src, kind: 'max', kernel: 3, stride: 1, pad: 1 },
    conv(`${name}/pool_proj`, `${name}/pool`, projection),
    { op: 'concat', name, src: [`${name}/1x1`, `${name}/3x3`, `${name}/5x5`, `${name}/pool_proj`] },
  ]
}

/** Figure 2a: no reductions, and the pooled source itself is a part of the result. */
function naive(name: string, src: string, one: number, three: number, five: number): LayerRow[] {
  return [
    conv(`${name}/1x1`, src, one),
    conv(`${name}/3x3`, src, three, 3),
    conv(`${name}/5x5`, src, five, 5),
    { op: 'pool', name: `${name}/pool`, src, kind: 'max', kernel: 3, stride: 1, pad: 1 },
    { op: 'concat', name, src: [`${name}/1x1`, `${name}/3x3`, `${name}/5x5`, `${name}/pool`] },
  ]
}

/** Three readers of different kinds, so that the gradient of src is a sum. */
function readers(src: string): LayerRow[] {
  return [
    conv('a', src, 9, 3),
    { op: 'pool', name: 'b', src, kind: 'max', kernel: 3, stride: 2 },
    { op: 'pool', name: 'c', src, kind: 'average', kernel: 5, stride: 3 },
  ]
}

const odd: Widths = { one: 13, three: [5, 11], five: [3, 7], projection: 9 }
const even: Widths = { one: 16, three: [16, 32], five: [16, 16], projection: 16 }
const mixed: Widths = { one: 24, three: [8, 19], five: [24, 8], projection: 40 }

function head(name: string, src: string, weight: number, classes = 7): LayerRow[] {
  return [
    { op: 'pool', name: `${name}/ave_pool`, src, kind: 'average', kernel: 5, stride: 3 },
    conv(`${name}/conv`, `${name}/ave_pool`, 10),
    { op: 'linear', name: `${name}/fc`, src: `${name}/conv`, outputs: 18, relu: true },
    { op: 'dropout', name: `${name}/drop`, src: `${name}/fc`, ratio: 0 },
    { op: 'linear', name: `${name}/classifier`, src: `${name}/drop`, outputs: classes },
    { op: 'loss', name: `${name}/loss`, src: `${name}/classifier`, weight, phase: 'train' },
  ]
}

/** Stem with both LRN, two modules with an auxiliary head between them, three losses in all. */
const miniature: LayerRow[] = [
  input('data', 3, 45, 43, true),
  conv('conv1', 'data', 12, 7, { stride: 2, pad: 3 }),
  { op: 'pool', name: 'pool1', src: 'conv1', kind: 'max', kernel: 3, stride: 2 },
  { op: 'lrn', name: 'norm1', src: 'pool1', size: 5, alpha: 0.5, beta: 0.75 },
  conv('conv2_reduce', 'norm1', 12),
  conv('conv2', 'conv2_reduce', 20, 3),
  { op: 'lrn', name: 'norm2', src: 'conv2', size: 5, alpha: 0.5, beta: 0.75 },
  ...reduced('module1', 'norm2', odd),
  ...head('loss1', 'module1', 0.3),
  { op: 'pool', name: 'pool2', src: 'module1', kind: 'max', kernel: 3, stride: 2 },
  ...reduced('module2', 'pool2', mixed),
  ...head('loss2', 'module2', 0.3),
  { op: 'pool', name: 'pool3', src: 'module2', kind: 'average', kernel: 'global' },
  { op: 'dropout', name: 'drop3', src: 'pool3', ratio: 0 },
  { op: 'linear', name: 'classifier', src: 'drop3', outputs: 7 },
  { op: 'loss', name: 'loss3', src: 'classifier', weight: 1, phase: 'train' },
  { op: 'softmax', name: 'prob', src: 'classifier', phase: 'inference' },
]

/** LRN across channels needs the channels in one run, so widths of whole blocks. */
export function lrnAfterConcat(first: number, second: number): LayerRow[] {
  return [
    input('x', 16, 5),
    conv('a', 'x', first, 3),
    conv('b', 'x', second),
    { op: 'concat', name: 'm', src: ['a', 'b'] },
    { op: 'lrn', name: 'y', src: 'm', size: 5, alpha: 0.5, beta: 0.75 },
  ]
}

const pool = (name: string, src: string, pad = 0): LayerRow => ({
  ...{ op: 'pool', name, src, kind: 'max', kernel: 3, stride: 2, pad },
})
const lrn = (name: string, src: string, size = 5): LayerRow => ({
  ...{ op: 'lrn', name, src, size, alpha: 0.5, beta: 0.75 },
})

const module = (name: string, rows: LayerRow[], batch: number): Case => ({ name: `network: ${name}`, rows, batch })

export const networkCases: Case[] = [
  module(
    'concat of two inputs',
    [input('x', 13, 5), input('y', 6, 5), { op: 'concat', name: 'z', src: ['x', 'y'] }],
    3,
  ),
  module('concat of one', [input('x', 13, 5), conv('y', 'x', 9), { op: 'concat', name: 'z', src: ['y'] }], 1),
  module(
    'one part read elsewhere too',
    [
      input('x', 16, 7),
      conv('a', 'x', 13, 3),
      conv('b', 'x', 6),
      { op: 'concat', name: 'z', src: ['a', 'b'] },
      { op: 'pool', name: 'p', src: 'a', kind: 'max', kernel: 3, stride: 2 },
      conv('q', 'z', 8, 3),
    ],
    3,
  ),
  module(
    'reduced module, odd widths, three readers',
    [input('x', 19, 9, 11), ...reduced('m', 'x', odd), ...readers('m')],
    3,
  ),
  module('reduced module, whole blocks', [input('x', 32, 7, 9), ...reduced('m', 'x', even), ...readers('m')], 1),
  module('naive module, three readers', [input('x', 13, 9, 7), ...naive('m', 'x', 5, 11, 6), ...readers('m')], 3),
  module(
    'two modules',
    [input('x', 16, 7), ...reduced('m', 'x', odd), ...reduced('n', 'm', mixed), ...readers('n')],
    3,
  ),
  module(
    'naive after reduced',
    [input('x', 8, 7), ...reduced('m', 'x', mixed), ...naive('n', 'm', 4, 5, 3), ...readers('n')],
    1,
  ),
  module(
    'linear after a concat of odd widths',
    [input('x', 16, 3, 5), ...reduced('m', 'x', odd), { op: 'linear', name: 'y', src: 'm', outputs: 11, relu: true }],
    5,
  ),
  module('lrn after a concat', lrnAfterConcat(32, 16), 3),
  module(
    'lrn of a part between others',
    [
      input('x', 16, 5),
      conv('a', 'x', 13, 3),
      conv('b', 'x', 21, 3),
      conv('c', 'x', 6, 3),
      { op: 'concat', name: 'm', src: ['a', 'b', 'c'] },
      { op: 'lrn', name: 'y', src: 'b', size: 5, alpha: 0.5, beta: 0.75 },
      conv('q', 'm', 8, 3),
    ],
    3,
  ),
  module(
    'lrn and pool of one source',
    [
      input('x', 13, 9),
      conv('c', 'x', 19, 3),
      { op: 'lrn', name: 'n', src: 'c', size: 5, alpha: 0.5, beta: 0.75 },
      { op: 'lrn', name: 'w', src: 'c', size: 3, alpha: 0.5, beta: 0.75, region: 'within' },
      { op: 'pool', name: 'p', src: 'c', kind: 'max', kernel: 3, stride: 2 },
    ],
    3,
  ),
  module(
    'two losses with weights',
    [
      input('x', 13, 5),
      conv('c', 'x', 10, 3),
      { op: 'linear', name: 'f', src: 'c', outputs: 5 },
      { op: 'linear', name: 'g', src: 'c', outputs: 9 },
      { op: 'loss', name: 'one', src: 'f', weight: 1 },
      { op: 'loss', name: 'other', src: 'g', weight: 0.3 },
    ],
    5,
  ),
  module(
    'a loss and a given gradient',
    [
      input('x', 13, 5),
      conv('c', 'x', 10, 3),
      { op: 'linear', name: 'f', src: 'c', outputs: 5 },
      { op: 'loss', name: 'one', src: 'f', weight: 1 },
      { op: 'pool', name: 'p', src: 'c', kind: 'average', kernel: 3, stride: 2 },
    ],
    3,
  ),
  module(
    'two linear layers in a row',
    [
      input('x', 9, 3),
      { op: 'linear', name: 'f', src: 'x', outputs: 21, relu: true },
      { op: 'linear', name: 'g', src: 'f', outputs: 6 },
    ],
    3,
  ),
  // Devices may take these two in one step; planes and channels of several tiles of native/cuda/lrn_pool.cu.
  module('pool, then lrn', [input('x', 7, 37, 41), conv('c', 'x', 44), pool('p', 'c'), lrn('y', 'p')], 2),
  module('lrn, then pool', [input('x', 7, 37, 41), conv('c', 'x', 44), lrn('n', 'c'), pool('y', 'n')], 2),
  module(
    'lrn and pool in both orders, padded, among other readers',
    [
      input('x', 6, 18, 7),
      conv('c', 'x', 19, 3),
      ...[pool('p', 'c', 1), lrn('y', 'p'), lrn('n', 'c'), pool('z', 'n', 1)],
      conv('q', 'c', 9, 3),
    ],
    3,
  ),
  module(
    'lrn and pool of an input, in a row of pools',
    [input('x', 13, 21, 17), lrn('n', 'x'), pool('p', 'n'), lrn('m', 'p'), pool('q', 'm'), conv('y', 'q', 5)],
    1,
  ),
  module(
    'lrn and pool that are no pair',
    [
      input('x', 13, 9),
      ...[lrn('n', 'x'), pool('p', 'n'), conv('a', 'n', 5)],
      ...[lrn('m', 'x', 3), pool('q', 'm')],
      ...[pool('r', 'x'), conv('b', 'r', 3), lrn('s', 'r')],
    ],
    2,
  ),
  module('GoogLeNet in miniature', miniature, 3),
  module('GoogLeNet in miniature, batch 1', miniature, 1),
]
