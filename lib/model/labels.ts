/**
 * Names of classes for people to read. Which class an image belongs to is the business of data/synsets.ts.
 */
import { GoogLeNetError } from '../errors.js'
import { readText } from '../weights/file.js'

/**
 * Reads one class a line, in the network's order: names, or Caffe's synset_words.txt, whose WordNet ids are dropped.
 *
 * @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ, GOOGLENET_ERR_INVALID_FILE for an empty file
 */
export async function readLabels(path: string): Promise<string[]> {
  const text = await readText(path)
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  if (lines.length === 0) throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', `label file ${path} holds no labels`)
  return lines.map((line) => line.trim().replace(/^n\d{8}\s+/, ''))
}

/** The class's name, or its number where the model has no names. */
export function labelOf(labels: readonly string[], index: number): string {
  return labels[index] ?? String(index)
}
