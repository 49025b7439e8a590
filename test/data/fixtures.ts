/**
 * What the tests of test/data share: temporary folders, made-up photos, and reference data when it is there.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp, { type JpegOptions, type Sharp } from 'sharp'

/** The caller removes it. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'googlenet-data-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

export async function put(root: string, name: string, data: string | Uint8Array = 'x'): Promise<string> {
  const path = join(root, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, data)
  return path
}

/** Smooth shapes and some noise, different for each seed: (height, width, 3) RGB. */
export function pixels(width: number, height: number, seed = 1): Buffer {
  const data = Buffer.alloc(width * height * 3)
  let state = (seed * 2654435761) >>> 0
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        const wave = 100 * Math.sin((x * (c + 1) + seed * 9) / 17) * Math.cos((y * (3 - c)) / 23)
        data[at++] = Math.max(0, Math.min(255, 128 + wave + (state >>> 28)))
      }
  return data
}

export function photo(width: number, height: number, seed = 1): Sharp {
  return sharp(pixels(width, height, seed), { raw: { width, height, channels: 3 } })
}

export function jpeg(width: number, height: number, seed = 1, options: JpegOptions = {}): Promise<Buffer> {
  return photo(width, height, seed).jpeg(options).toBuffer()
}

/** Code of the error that `run` throws or rejects with, and its message. */
export async function failure(run: () => unknown): Promise<{ name: string; code: string; message: string }> {
  try {
    await run()
  } catch (error) {
    const { name, code, message } = error as Error & { code: string }
    return { name, code, message }
  }
  throw new Error('nothing was thrown')
}

const here = dirname(fileURLToPath(import.meta.url))
/** The reference data of the machines this is developed on; see the title of the tests that need it. */
export const referenceData = resolve(process.env.GOOGLENET_DATA ?? join(here, '../../../shared/data'))
export const withReference = existsSync(referenceData)
