/** How many images are classified at once, on the processor and on a GPU. */
import { expect, test } from 'vitest'
import { enoughFor, largestPiece, pieces, piecesAtOnce } from '../../lib/model/images.js'

const sizes = (count: number, device: 'cpu' | 'cuda' | 'cuda:1', streams = 1) =>
  [...pieces(count, { device, streams })].map((piece) => piece.count)

test('a large batch goes to a GPU whole', () => {
  expect(sizes(128, 'cuda')).toEqual([128])
  expect(sizes(300, 'cuda:1')).toEqual([128, 128, 32, 8, 4])
  expect(sizes(20, 'cpu')).toEqual([8, 8, 4])
  expect([largestPiece('cpu'), largestPiece('cuda:1')]).toEqual([8, 128])
})

test('several streams of the processor all get a part; those of a GPU are not for pieces', () => {
  expect(sizes(8, 'cpu', 2)).toEqual([4, 4])
  expect(sizes(20, 'cpu', 3)).toEqual([4, 4, 4, 4, 4])
  expect(sizes(1, 'cpu', 4)).toEqual([1])
  expect(sizes(128, 'cuda', 4)).toEqual([128])
  const at = (device: 'cpu' | 'cuda') => [piecesAtOnce({ device, streams: 4 }), enoughFor({ device, streams: 4 })]
  expect([at('cpu'), at('cuda')]).toEqual([
    [4, 32],
    [1, 128],
  ])
})

test('every image is in one piece, in order, and sizes are few', () => {
  for (const device of ['cpu', 'cuda'] as const) {
    const all = new Set<number>()
    for (let count = 0; count < 400; count++) {
      let next = 0
      for (const piece of pieces(count, { device, streams: 1 + (count % 5) })) {
        expect(piece.start).toBe(next)
        next += piece.count
        all.add(piece.count)
      }
      expect(next).toBe(count)
    }
    expect(all.size).toBeLessThanOrEqual(6)
  }
})
