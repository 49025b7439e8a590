/**
 * The one table of layer cases: every op, every attribute, and small networks in which gradients meet. The same
 * cases are held against the reference (parity.test.ts) and the reference against finite differences
 * (gradient.test.ts). Shapes are odd on purpose: no multiples of the block, borders that windows overhang.
 */
import type { ConvRow, InputRow, LayerRow, LrnRow, PoolRow } from '../../lib/model/layer.js'
import { type Case, input } from './case.js'
import { networkCases } from './networks.js'

/** An input and one layer that reads it. */
function single(name: string, source: InputRow, row: LayerRow, batch = 1): Case {
  return { name, rows: [source, row], batch }
}

function conv(name: string, source: InputRow, attributes: Omit<ConvRow, 'op' | 'name' | 'src'>, batch = 1): Case {
  return single(`conv ${name}`, source, { op: 'conv', name: 'y', src: 'x', ...attributes }, batch)
}

const convCases: Case[] = [
  conv('1x1', input('x', 24, 7), { outputs: 40, kernel: 1, relu: true }, 3),
  conv('1x1 of one position', input('x', 40, 1), { outputs: 13, kernel: 1 }, 5),
  conv('1x1/2', input('x', 16, 9, 7), { outputs: 24, kernel: 1, stride: 2 }),
  conv('3x3 pad 1', input('x', 16, 9, 11), { outputs: 32, kernel: 3, pad: 1, relu: true }, 3),
  conv('3x3 without padding', input('x', 24, 7), { outputs: 16, kernel: 3 }),
  conv('5x5 pad 2', input('x', 16, 7, 9), { outputs: 24, kernel: 5, pad: 2, relu: true }, 3),
  conv(
    '7x7/2 pad 3, planar',
    input('x', 3, 33, 31, true),
    { outputs: 64, kernel: 7, stride: 2, pad: 3, relu: true },
    3,
  ),
  conv('7x7/2 pad 3, blocked', input('x', 3, 23, 21), { outputs: 16, kernel: 7, stride: 2, pad: 3, relu: true }),
  conv('3x3 planar', input('x', 3, 13, 11, true), { outputs: 13, kernel: 3, pad: 1 }, 5),
  conv('1x1 planar', input('x', 3, 9, 9, true), { outputs: 8, kernel: 1 }),
  conv('one channel, planar', input('x', 1, 15, 13, true), { outputs: 16, kernel: 5, pad: 2, stride: 2, relu: true }),
  conv('rectangular kernel', input('x', 8, 11, 13), { outputs: 16, kernel: [1, 7], pad: [0, 3] }),
  conv(
    'rectangular everything',
    input('x', 8, 11, 13),
    { outputs: 13, kernel: [4, 5], stride: [2, 3], pad: [0, 1] },
    3,
  ),
  conv('padding that differs', input('x', 16, 8, 5), { outputs: 16, kernel: [5, 3], pad: [2, 0], relu: true }),
  conv('5x5 on a smaller map', input('x', 16, 4, 2), { outputs: 24, kernel: 5, pad: 2, relu: true }, 3),
  conv('3x3 on a smaller map', input('x', 24, 2, 1), { outputs: 16, kernel: 3, pad: 1 }, 3),
  conv('5x5/2, dilation 2 on a smaller map', input('x', 8, 5, 7), {
    ...{ outputs: 16, kernel: 5, pad: 4, stride: 2, dilation: 2 },
  }),
  conv('padding wider than the kernel', input('x', 8, 5), { outputs: 8, kernel: 3, pad: 3 }),
  conv('dilation 2', input('x', 16, 13), { outputs: 16, kernel: 3, pad: 2, dilation: 2, relu: true }),
  conv('dilation (3, 1)', input('x', 8, 15, 9), { outputs: 24, kernel: 3, pad: [3, 1], dilation: [3, 1] }, 3),
  conv('dilation and stride', input('x', 16, 17), { outputs: 16, kernel: 3, stride: 2, dilation: 2 }),
  conv('2 groups of 16', input('x', 32, 7), { outputs: 32, kernel: 3, pad: 1, groups: 2, relu: true }, 3),
  conv('3 groups of 2', input('x', 6, 9, 11), { outputs: 12, kernel: [4, 5], stride: [2, 3], pad: [0, 1], groups: 3 }),
  conv('5 groups of 3', input('x', 15, 7), { outputs: 10, kernel: 3, pad: 1, groups: 5 }, 3),
  conv('depthwise', input('x', 24, 7), { outputs: 24, kernel: 3, pad: 1, groups: 24, relu: true }),
  conv('without bias', input('x', 16, 7), { outputs: 16, kernel: 3, pad: 1, bias: false, relu: true }),
  conv('1x1 without bias', input('x', 13, 7), { outputs: 24, kernel: 1, bias: false }, 3),
  ...[3, 8, 13, 16, 24, 40].flatMap((channels) => [
    conv(`3x3, ${channels} channels`, input('x', channels, 7, 5), { outputs: 16, kernel: 3, pad: 1, relu: true }),
    conv(`3x3, ${channels} outputs`, input('x', 16, 5, 7), { outputs: channels, kernel: 3, pad: 1, relu: true }, 3),
  ]),
  conv('13 to 24 channels', input('x', 13, 9), { outputs: 24, kernel: 5, pad: 2, relu: true }, 5),
]

function pool(name: string, source: InputRow, attributes: Omit<PoolRow, 'op' | 'name' | 'src'>, batch = 1): Case {
  return single(`pool ${name}`, source, { op: 'pool', name: 'y', src: 'x', ...attributes }, batch)
}

const poolCases: Case[] = (['max', 'average'] as const).flatMap((kind) => [
  pool(`${kind} 2x2/2, ceil`, input('x', 16, 7, 9), { kind, kernel: 2, stride: 2 }, 3),
  pool(`${kind} 2x2/2, floor`, input('x', 16, 7, 9), { kind, kernel: 2, stride: 2, round: 'floor' }),
  pool(`${kind} 3x3/2, ceil`, input('x', 24, 12, 11), { kind, kernel: 3, stride: 2 }, 3),
  pool(`${kind} 3x3/2, floor`, input('x', 24, 12, 11), { kind, kernel: 3, stride: 2, round: 'floor' }),
  pool(`${kind} 3x3/2 pad 1`, input('x', 8, 10, 11), { kind, kernel: 3, stride: 2, pad: 1 }),
  pool(`${kind} 3x3/1 pad 1`, input('x', 40, 7, 5), { kind, kernel: 3, stride: 1, pad: 1 }, 3),
  pool(`${kind} 3x3/1`, input('x', 13, 7), { kind, kernel: 3 }),
  pool(`${kind} 5x5/3`, input('x', 19, 14), { kind, kernel: 5, stride: 3 }, 3),
  pool(`${kind} 7x7`, input('x', 64, 7), { kind, kernel: 7 }, 5),
  pool(`${kind} global`, input('x', 13, 5, 9), { kind, kernel: 'global' }, 3),
  pool(`${kind} (3, 5)/(2, 1) pad (2, 1)`, input('x', 6, 15, 13), {
    kind,
    kernel: [3, 5],
    stride: [2, 1],
    pad: [2, 1],
  }),
  pool(`${kind} window dropped by the clip rule`, input('x', 8, 9), { kind, kernel: 2, stride: 2, pad: 1 }),
  pool(`${kind} stride larger than the kernel`, input('x', 8, 11), { kind, kernel: 2, stride: 3 }),
  pool(`${kind} window larger than the source`, input('x', 16, 2, 1), { kind, kernel: [3, 2], stride: 2 }, 3),
  pool(`${kind} of one position`, input('x', 16, 1), { kind, kernel: 3, stride: 1, pad: 1 }),
])

const tieCases: Case[] = [
  pool('max 3x3/2 with ties', input('x', 13, 9), { kind: 'max', kernel: 3, stride: 2 }, 3),
  pool('max 3x3/1 pad 1 with ties', input('x', 24, 7), { kind: 'max', kernel: 3, stride: 1, pad: 1 }, 3),
  pool('max global with ties', input('x', 8, 5), { kind: 'max', kernel: 'global' }),
].map((entry) => ({ ...entry, ties: true }))

function lrn(name: string, source: InputRow, attributes: Omit<LrnRow, 'op' | 'name' | 'src'>, batch = 1): Case {
  return single(`lrn ${name}`, source, { op: 'lrn', name: 'y', src: 'x', ...attributes }, batch)
}

const strong = { alpha: 0.5, beta: 0.75 }
const caffe = { alpha: 1e-4, beta: 0.75 }

const lrnCases: Case[] = [
  ...[5, 16, 19, 64].map((channels) =>
    lrn(`5 across ${channels} channels`, input('x', channels, 5, 7), { size: 5, ...strong }, 3),
  ),
  lrn('3 across 19 channels', input('x', 19, 5), { size: 3, ...strong }),
  lrn('5 across 2 channels, window wider than the tensor', input('x', 2, 5), { size: 5, ...strong }),
  lrn('9 across 40 channels', input('x', 40, 3), { size: 9, ...strong }),
  lrn('Caffe alpha', input('x', 64, 7, 5), { size: 5, ...caffe }, 3),
  lrn('k 2, beta 0.5', input('x', 24, 5), { size: 5, alpha: 0.5, beta: 0.5, k: 2 }),
  lrn('beta 1', input('x', 16, 5), { size: 3, alpha: 1, beta: 1 }),
  lrn('3 within', input('x', 13, 7, 9), { size: 3, ...strong, region: 'within' }, 3),
  lrn('5 within', input('x', 16, 9, 7), { size: 5, ...strong, region: 'within' }),
  lrn('5 within 3x3', input('x', 8, 3), { size: 5, alpha: 0.9, beta: 0.75, region: 'within' }),
]

const denseCases: Case[] = [
  single('linear', input('x', 24, 1), { op: 'linear', name: 'y', src: 'x', outputs: 10 }, 5),
  single('linear, odd widths', input('x', 13, 1), { op: 'linear', name: 'y', src: 'x', outputs: 7, relu: true }, 3),
  single(
    'linear of (C, H, W)',
    input('x', 13, 3, 5),
    { op: 'linear', name: 'y', src: 'x', outputs: 17, relu: true },
    3,
  ),
  single('linear, batch 1', input('x', 40, 4), { op: 'linear', name: 'y', src: 'x', outputs: 32 }),
  single('linear, no bias', input('x', 16, 3), { op: 'linear', name: 'y', src: 'x', outputs: 16, bias: false }, 3),
  single('linear, one output', input('x', 16, 1), { op: 'linear', name: 'y', src: 'x', outputs: 1 }, 3),
  single('softmax of 5', input('x', 5, 1), { op: 'softmax', name: 'y', src: 'x' }, 3),
  single('softmax of 1000', input('x', 1000, 1), { op: 'softmax', name: 'y', src: 'x' }, 5),
  single('loss of 5', input('x', 5, 1), { op: 'loss', name: 'y', src: 'x', weight: 1 }, 3),
  single('loss of 37, weight 0.3', input('x', 37, 1), { op: 'loss', name: 'y', src: 'x', weight: 0.3 }, 5),
  single('dropout 0', input('x', 13, 3), { op: 'dropout', name: 'y', src: 'x', ratio: 0 }, 3),
]

export const cases: Case[] = [...convCases, ...poolCases, ...tieCases, ...lrnCases, ...denseCases, ...networkCases]
