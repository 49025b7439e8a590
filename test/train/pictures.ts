/**
 * A small image folder drawn for a test: one colour and stripe direction per class, with noise so that no two files
 * are alike.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll } from 'vitest'

const SIZE = 56
const COLOURS = [
  [220, 40, 40],
  [40, 200, 60],
  [50, 70, 220],
  [230, 210, 40],
] as const

/** A new folder below the system's temporary one; removed by the function returned. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'googlenet-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** One that a block of tests has from its first to its last. */
export function useFolder(): { readonly path: string } {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder()
  })
  afterAll(() => folder.remove())
  return {
    get path() {
      return folder.path
    },
  }
}

/** Writes `dir/<class>/<n>.jpg` for up to four classes named a, b, c, d. */
export async function drawPictures(dir: string, classes: number, perClass: number, seed = 1): Promise<void> {
  for (let label = 0; label < classes; label++) {
    const folder = join(dir, 'abcd'[label]!)
    await mkdir(folder, { recursive: true })
    for (let index = 0; index < perClass; index++) {
      await sharp(pixels(label, index + 1000 * seed), { raw: { width: SIZE, height: SIZE, channels: 3 } })
        .jpeg({ quality: 90 })
        .toFile(join(folder, `${index}.jpg`))
    }
  }
}

export function pixels(label: number, seed: number): Uint8Array {
  const colour = COLOURS[label]!
  const data = new Uint8Array(SIZE * SIZE * 3)
  let state = seed * 7919 + label
  const noise = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 32 - 0.5) * 80
  }
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const stripe = ((label % 2 ? x : y) + seed) % 8 < 4 ? 1 : 0.4
      for (let c = 0; c < 3; c++)
        data[(y * SIZE + x) * 3 + c] = Math.max(0, Math.min(255, colour[c]! * stripe + noise()))
    }
  }
  return data
}
