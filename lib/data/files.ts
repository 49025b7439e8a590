/**
 * Finding image files below a folder: hidden names are left out, sub folders and symbolic links are followed (a folder
 * met twice is walked once), and the result is sorted so that it depends on neither file system nor machine.
 */
import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'

/** What is taken for an image, by the end of its name, in any case. */
export const IMAGE_EXTENSIONS: readonly string[] = [
  'jpg',
  'jpeg',
  'png',
  'webp',
  'gif',
  'tif',
  'tiff',
  'avif',
  'bmp',
  'svg',
]

export function isImageName(name: string): boolean {
  const dot = name.lastIndexOf('.')
  return dot > 0 && IMAGE_EXTENSIONS.includes(name.slice(dot + 1).toLowerCase())
}

/** Order of UTF-16 code units, the same on every machine; localeCompare is not. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export interface Listing {
  folders: string[]
  images: string[]
  /** Files that are no images by their name. */
  others: number
}

async function kind(dir: string, entry: Dirent): Promise<'folder' | 'file' | 'none'> {
  if (entry.isDirectory()) return 'folder'
  if (entry.isFile()) return 'file'
  if (!entry.isSymbolicLink()) return 'none'
  try {
    const target = await stat(join(dir, entry.name))
    return target.isDirectory() ? 'folder' : target.isFile() ? 'file' : 'none'
  } catch {
    return 'none' // a dangling link
  }
}

/** Names in one folder, sorted. Throws FILE_NOT_FOUND when it does not exist or is no folder, else FILE_READ. */
export async function list(dir: string): Promise<Listing> {
  let entries: Dirent[]
  try {
    entries = await readdir(dir, { withFileTypes: true })
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT')
      throw new GoogLeNetError('GOOGLENET_ERR_FILE_NOT_FOUND', `the folder ${dir} does not exist`, { cause })
    if (code === 'ENOTDIR')
      throw new GoogLeNetError('GOOGLENET_ERR_FILE_NOT_FOUND', `${dir} is a file; a folder is expected`, { cause })
    throw new GoogLeNetError(
      'GOOGLENET_ERR_FILE_READ',
      `the folder ${dir} cannot be read: ${(cause as Error).message}`,
      {
        cause,
      },
    )
  }
  const result: Listing = { folders: [], images: [], others: 0 }
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const what = await kind(dir, entry)
    if (what === 'folder') result.folders.push(entry.name)
    else if (what === 'file' && isImageName(entry.name)) result.images.push(entry.name)
    else result.others++
  }
  result.folders.sort(byCodeUnit)
  result.images.sort(byCodeUnit)
  return result
}

/** Paths of all images below `root`, relative to it with '/', sorted by code unit within each folder. */
export async function walk(root: string, signal?: AbortSignal): Promise<{ images: string[]; others: number }> {
  const images: string[] = []
  let others = 0
  const seen = new Set<string>()
  const visit = async (below: string): Promise<void> => {
    throwIfAborted(signal)
    const dir = join(root, below)
    const listing = await list(dir)
    const real = await realpath(dir)
    if (seen.has(real)) return
    seen.add(real)
    others += listing.others
    for (const name of listing.images) images.push(below ? `${below}/${name}` : name)
    for (const name of listing.folders) await visit(below ? `${below}/${name}` : name)
  }
  await visit('')
  return { images, others }
}
