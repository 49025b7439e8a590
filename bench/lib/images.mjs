/** The prepared images, as every contender reads them. */
import { readFileSync } from 'node:fs'

/** The two images of a prepared file, repeated to fill a batch: (N,3,H,W). */
export function images(path, batch) {
  const two = new Float32Array(new Uint8Array(readFileSync(path)).buffer)
  const one = two.length / 2
  const values = new Float32Array(batch * one)
  for (let i = 0; i < batch; i++) values.set(two.subarray((i % 2) * one, ((i % 2) + 1) * one), i * one)
  return values
}
