/** matchTensors: what is returned, that one error lists every difference, and the hint for each likely reason. */
import { describe, expect, it } from 'vitest'
import { GoogLeNetError } from '../../lib/errors.js'
import { type MatchOptions, matchTensors } from '../../lib/weights/match.js'
import type { TensorMap } from '../../lib/weights/safetensors.js'
import { tensor } from './helpers.js'

const network = [
  { name: 'conv1/7x7_s2.weight', shape: [2, 3, 1, 1] },
  { name: 'conv1/7x7_s2.bias', shape: [2] },
  { name: 'inception_3a/3x3_reduce.weight', shape: [2, 2, 1, 1] },
  { name: 'loss1/conv.weight', shape: [1, 2, 1, 1] },
  { name: 'loss3/classifier.weight', shape: [5, 2] },
  { name: 'loss3/classifier.bias', shape: [5] },
]

/** The network's own tensors, with some replaced, added or (null) removed. */
function weights(changes: Record<string, number[] | null> = {}): TensorMap {
  const shapes = new Map(network.map(({ name, shape }) => [name, shape]))
  for (const [name, shape] of Object.entries(changes)) shape ? shapes.set(name, shape) : shapes.delete(name)
  return new Map([...shapes].map(([name, shape]) => [name, tensor(shape)]))
}

function mismatch(got: TensorMap, options?: MatchOptions): string {
  try {
    matchTensors(network, got, options)
  } catch (error) {
    expect(error).toBeInstanceOf(GoogLeNetError)
    expect((error as GoogLeNetError).code).toBe('GOOGLENET_ERR_WEIGHTS_MISMATCH')
    return (error as Error).message
  }
  return expect.fail('expected a mismatch')
}

describe('matching', () => {
  it('returns the tensors themselves in the order of the network', () => {
    const got = weights()
    const reversed = new Map([...got].reverse())
    const matched = matchTensors(network, reversed)
    expect([...matched.keys()]).toEqual(network.map(({ name }) => name))
    for (const [name, value] of matched) expect(value).toBe(got.get(name))
  })

  it('allowed gaps and ignored extras', () => {
    const got = weights({ 'loss1/conv.weight': null, extra: [1], 'momentum/x': [1] })
    const matched = matchTensors(network, got, {
      allowMissing: (name) => name.startsWith('loss1/'),
      ignore: (name) => name === 'extra' || name.startsWith('momentum/'),
    })
    expect(matched.size).toBe(network.length - 1)
  })

  it('a wrong shape is never allowed, and an expected name never ignored', () => {
    const got = weights({ 'conv1/7x7_s2.bias': [3] })
    expect(mismatch(got, { allowMissing: () => true, ignore: () => true })).toContain('expected [2], got [3]')
  })

  it('lists every difference at once', () => {
    const message = mismatch(
      weights({
        'conv1/7x7_s2.weight': null,
        'conv1/7x7_s2.bias': [3],
        'loss3/classifier.weight': null,
        one: [1],
        two: [1],
      }),
    )
    expect(message.split('\n').filter((line) => !line.startsWith('hint'))).toEqual([
      'the weights do not fit the network (6 tensors expected, 6 came: 2 missing, 1 of another shape, 2 unexpected)',
      'missing: conv1/7x7_s2.weight',
      'missing: loss3/classifier.weight',
      'shape: conv1/7x7_s2.bias: expected [2], got [3]',
      'unexpected: one',
      'unexpected: two',
    ])
  })

  it('the same count in another rank is a difference', () => {
    expect(mismatch(weights({ 'conv1/7x7_s2.bias': [1, 2] }))).toContain('expected [2], got [1, 2]')
  })
})

describe('hints', () => {
  const other = (...names: string[]): TensorMap => new Map(names.map((name) => [name, tensor([1])]))
  it.each<[string, TensorMap, RegExp]>([
    ['torchvision', other('inception3a.branch1.conv.weight', 'conv1.bn.running_mean'), /torchvision GoogLeNet/],
    ['torchvision stem only', other('conv1.conv.weight'), /torchvision GoogLeNet/],
    ['TF-Slim', other('InceptionV1/Conv2d_1a_7x7/weights'), /TensorFlow Inception v1/],
    ['inception5h', other('mixed3a_1x1_w', 'conv2d0_w'), /TensorFlow Inception v1/],
    ['batch normalisation', weights({ 'conv1/bn.running_mean': [2] }), /batch normalisation, this network has none/],
    ['raw checkpoint', weights({ 'momentum/conv1/7x7_s2.bias': [2] }), /training checkpoint/],
    ['no heads', weights({ 'loss1/conv.weight': null }), /no auxiliary heads.*auxiliary: false/],
    ['extra heads', weights({ 'loss2/conv.weight': [1] }), /auxiliary: true/],
    [
      'classes',
      weights({ 'loss3/classifier.weight': [1000, 2], 'loss3/classifier.bias': [1000] }),
      /only the classifier differs: the weights know 1000 classes, the network 5.*classes: 1000.*fine-tune with classes: 5/,
    ],
    ['width', weights({ 'conv1/7x7_s2.bias': [4], 'inception_3a/3x3_reduce.weight': [4, 4, 1, 1] }), /another width/],
    ['block', weights({ 'inception_3a/3x3_reduce.weight': null }), /'naive' and block 'reduced'/],
  ])('%s', (_name, got, hint) => {
    expect(mismatch(got)).toMatch(new RegExp(`hint: .*${hint.source}`))
  })

  it('no heads and other classes: both', () => {
    const message = mismatch(weights({ 'loss1/conv.weight': null, 'loss3/classifier.bias': [7] }))
    expect(message).toMatch(/auxiliary: false/)
    expect(message).toMatch(/only the classifier differs/)
  })

  it('none when nothing is known', () => {
    expect(mismatch(weights({ strange: [1] }))).not.toContain('hint:')
  })
})
