/**
 * The order in which an epoch visits its samples: a pure function of (seed, epoch), so a run can be resumed in the
 * middle of an epoch. Philox 4x32-10 (Salmon et al. 2011), the generator of native/core/rng.h, feeds a Fisher-Yates
 * shuffle.
 */

/** High 32 bits of the product of two unsigned 32-bit numbers, from 16-bit halves (all partial sums below 2^53). */
function mulHigh(a: number, b: number): number {
  const al = a & 0xffff
  const ah = a >>> 16
  const bl = b & 0xffff
  const bh = b >>> 16
  const middle = ah * bl + Math.floor((al * bl) / 65536) + al * bh
  return (ah * bh + Math.floor(middle / 65536)) >>> 0
}

/** Four unsigned 32-bit words for a 128-bit counter; equal to native/core/rng.h. */
export function philox(
  seed: number,
  counter: readonly [number, number, number, number],
): [number, number, number, number] {
  let [a, b, c, d] = counter.map((word) => word >>> 0) as [number, number, number, number]
  let k0 = seed >>> 0
  let k1 = Math.floor(seed / 0x100000000) >>> 0
  for (let round = 0; round < 10; round++) {
    const na = (mulHigh(0xcd9e8d57, c) ^ b ^ k0) >>> 0
    const nc = (mulHigh(0xd2511f53, a) ^ d ^ k1) >>> 0
    b = Math.imul(0xcd9e8d57, c) >>> 0
    d = Math.imul(0xd2511f53, a) >>> 0
    a = na
    c = nc
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [a, b, c, d]
}

// The last counter word, beside the streams of native/image/draws.h: these numbers are for the order.
const ORDER_STREAM = 0x1100

/**
 * The numbers 0 … length-1 in the order of the epoch. Positions are drawn by multiplication, whose bias is below
 * length / 2^32.
 *
 * @param seed whole, 0 … 2^53-1
 * @param epoch whole, 0 … 2^32-1
 */
export function permutation(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i)
  let words: readonly number[] = []
  for (let i = length - 1, draw = 0; i > 0; i--, draw++) {
    if (draw % 4 === 0) words = philox(seed, [epoch, draw / 4, 0, ORDER_STREAM])
    const j = Math.floor(((words[draw % 4] as number) * (i + 1)) / 0x100000000)
    const kept = order[i] as number
    order[i] = order[j] as number
    order[j] = kept
  }
  return order
}
