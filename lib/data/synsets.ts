/**
 * ImageNet's label files: one class a line, in network order, as `n01440764 tench, Tinca tinca`.
 */
import { readFile } from 'node:fs/promises'
import { GoogLeNetError } from '../errors.js'

export interface Synset {
  /** WordNet id, such as n01440764. */
  wnid: string
  /** All names, as written: 'tench, Tinca tinca'. */
  label: string
}

/** Blank lines are skipped. Throws INVALID_FILE with the line that is no synset or whose wnid came before. */
export function parseSynsets(text: string): Synset[] {
  const synsets: Synset[] = []
  const seen = new Map<string, number>()
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.replace(/^\uFEFF/, '').trim()
    if (line === '') continue
    const match = /^(n\d{8})\s+(\S.*)$/.exec(line)
    if (!match) {
      const shown = line.length > 60 ? `${line.slice(0, 60)}…` : line
      throw new GoogLeNetError(
        'GOOGLENET_ERR_INVALID_FILE',
        `line ${at + 1} of the synset file must read 'n######## name', not '${shown}'`,
      )
    }
    const wnid = match[1] as string
    const before = seen.get(wnid)
    if (before !== undefined)
      throw new GoogLeNetError(
        'GOOGLENET_ERR_INVALID_FILE',
        `line ${at + 1} of the synset file names ${wnid}, as line ${before} did`,
      )
    seen.set(wnid, at + 1)
    synsets.push({ wnid, label: match[2] as string })
  }
  if (synsets.length === 0)
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', 'the synset file holds no lines "n######## name"')
  return synsets
}

/** Throws FILE_NOT_FOUND, FILE_READ, INVALID_FILE (each with the path). */
export async function readSynsets(path: string): Promise<Synset[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new GoogLeNetError(
      absent ? 'GOOGLENET_ERR_FILE_NOT_FOUND' : 'GOOGLENET_ERR_FILE_READ',
      absent ? `the synset file ${path} does not exist` : `the synset file ${path}: ${(cause as Error).message}`,
      { cause },
    )
  }
  try {
    return parseSynsets(text)
  } catch (cause) {
    if (!(cause instanceof GoogLeNetError)) throw cause
    throw new GoogLeNetError(cause.code, `${path}: ${cause.message}`, { cause })
  }
}
