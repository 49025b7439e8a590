// The epoch's order: a permutation, a pure function, and the same generator as the native one.
import { describe, expect, test } from 'vitest'
import { permutation, philox } from '../../lib/data/order.js'

describe('philox', () => {
  test('meets the known answers of Random123', () => {
    const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ')
    expect(hex(philox(0, [0, 0, 0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8')
    // Random123's other two keys have 64 bits, more than a number holds exactly.
    expect(philox(1, [0, 0, 0, 0])).not.toEqual(philox(0x100000000, [0, 0, 0, 0]))
  })
})

describe('permutation', () => {
  test.each([0, 1, 2, 3, 10, 1000])('of %i holds each position once', (length) => {
    expect([...permutation(length, 7, 3)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i))
  })

  test('is a function of seed and epoch', () => {
    expect(permutation(100, 1, 2)).toEqual(permutation(100, 1, 2))
    expect(permutation(100, 1, 2)).not.toEqual(permutation(100, 1, 3))
    expect(permutation(100, 1, 2)).not.toEqual(permutation(100, 2, 2))
    expect(permutation(100, 1, 2)).not.toEqual(permutation(100, 1 + 2 ** 32, 2))
  })

  test('stays as it is from version to version', () => {
    expect([...permutation(10, 42, 5)]).toEqual([0, 7, 6, 1, 4, 8, 5, 2, 3, 9])
  })

  test('puts each sample everywhere equally often', () => {
    const length = 8
    const epochs = 4000
    const counts = Array.from({ length }, () => new Array<number>(length).fill(0))
    for (let epoch = 0; epoch < epochs; epoch++)
      permutation(length, 1, epoch).forEach((sample, at) => {
        const row = counts[sample] as number[]
        row[at] = (row[at] as number) + 1
      })
    const expected = epochs / length
    const chi = counts.flat().reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
    expect(chi).toBeLessThan(85) // 49 degrees of freedom: beyond this once in a thousand seeds
  })
})
