/**
 * Labelled images on disk. ImageFolder.open: one sub folder a class. ImageFolder.labelled: files or folders that begin
 * with a WordNet id, with the classes of a synset file. ImageFolder.unlabelled: whatever lies there. Only names are read
 * here; loader.ts reads the images.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { checkBoolean, checkKnown, checkPath, checkStrings, invalid } from '../options.js'
import { IMAGE_EXTENSIONS, list, walk } from './files.js'
import { permutation } from './order.js'
import { readSynsets, type Synset } from './synsets.js'

export interface LabelledImage {
  path: string
  /** Position in `classes`. */
  label: number
}

export interface OpenOptions {
  /** Classes in the order of the labels, as a validation set needs those of its training set. Default: the sub folders
   *  that hold images, sorted by code unit. A class without a folder is allowed, a folder without a class is not. */
  classes?: readonly string[]
  /** Default false: a single class is an error. */
  allowOneClass?: boolean
  signal?: AbortSignal
}

const LOOKED_FOR = `files ending in ${IMAGE_EXTENSIONS.map((extension) => `.${extension}`).join(' ')}`

function some(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}

/** Paths below `dir`, one at least. */
async function someImages(dir: string, signal?: AbortSignal): Promise<string[]> {
  const { images, others } = await walk(dir, signal)
  if (images.length > 0) return images
  throw new GoogLeNetError(
    'GOOGLENET_ERR_DATASET_EMPTY',
    `${dir} holds no images: looked for ${LOOKED_FOR} in it and below, found ${others} other files`,
  )
}

function areSynsets(value: unknown): boolean {
  const isSynset = (one?: Partial<Synset>) => typeof one?.wnid === 'string' && typeof one.label === 'string'
  return Array.isArray(value) && [...value].every(isSynset)
}

export class ImageFolder {
  /** Hash over class names, relative paths and labels, as sha256 in hex: tells a resumed run that the data changed.
   *  The folder's own place and the files' contents are no part of it. */
  readonly fingerprint: string

  private constructor(
    readonly dir: string,
    readonly classes: readonly string[],
    readonly samples: readonly LabelledImage[],
    names: readonly string[],
  ) {
    const hash = createHash('sha256')
    for (const name of classes) hash.update(`class\0${name}\0`)
    for (const [i, name] of names.entries()) hash.update(`${name}\0${samples[i]?.label}\0`)
    this.fingerprint = hash.digest('hex')
  }

  /**
   * Class = sub folder; images in folders below it belong to it. Hidden names and files that are no images by their
   * name are ignored.
   *
   * Throws FILE_NOT_FOUND (no such folder), DATASET_EMPTY, DATASET_ONE_CLASS, INVALID_ARGUMENT (a folder that is not
   * among `classes`), FILE_READ, AbortError.
   */
  static async open(dir: string, options: OpenOptions = {}): Promise<ImageFolder> {
    checkPath('dir', dir)
    checkKnown('ImageFolder.open', options, ['classes', 'allowOneClass', 'signal'])
    const { signal, allowOneClass = false } = options
    checkBoolean('allowOneClass', allowOneClass)
    if (options.classes !== undefined) checkStrings('classes', options.classes)
    throwIfAborted(signal)
    const top = await list(dir)
    const found = new Map<string, string[]>()
    let others = top.others
    for (const folder of top.folders) {
      const inside = await walk(join(dir, folder), signal)
      others += inside.others
      if (inside.images.length > 0) found.set(folder, inside.images)
    }
    if (found.size === 0) {
      const had =
        top.images.length > 0
          ? `${top.images.length} images lie directly in it (${some(top.images, 2)}): move them to a folder per class`
          : `found ${top.folders.length} folders and ${others} other files`
      throw new GoogLeNetError(
        'GOOGLENET_ERR_DATASET_EMPTY',
        `${dir} holds no images in class folders: looked for ${LOOKED_FOR} in its sub folders, ${had}`,
      )
    }
    if (options.classes && new Set(options.classes).size !== options.classes.length)
      throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', 'classes: each name may be there once')
    const classes = options.classes ? [...options.classes] : [...found.keys()]
    const strangers = [...found.keys()].filter((name) => !classes.includes(name))
    if (strangers.length > 0)
      throw new GoogLeNetError(
        'GOOGLENET_ERR_INVALID_ARGUMENT',
        `${dir} holds folders that are none of the ${classes.length} classes: ${some(strangers)}; ` +
          `the classes are ${some(classes)}`,
      )
    if (classes.length === 1 && !allowOneClass)
      throw new GoogLeNetError(
        'GOOGLENET_ERR_DATASET_ONE_CLASS',
        `${dir} holds images of a single class, '${classes[0]}': a classifier needs two folders or more`,
      )
    const samples: LabelledImage[] = []
    const names: string[] = []
    for (const [label, name] of classes.entries())
      for (const image of found.get(name) ?? []) {
        samples.push({ path: join(dir, name, image), label })
        names.push(`${name}/${image}`)
      }
    return new ImageFolder(dir, classes, samples, names)
  }

  /**
   * A flat folder of files named `n01440764_….jpg`, or wnid folders, with the class order of a synset file. `classes`
   * are its labels, in network order.
   *
   * @param synsets a synset_words.txt (path), or what parseSynsets() made of one
   *
   * Throws FILE_NOT_FOUND, DATASET_EMPTY, LABEL_OUT_OF_RANGE (images without a known wnid), INVALID_FILE, AbortError.
   */
  static async labelled(
    dir: string,
    synsets: string | readonly Synset[],
    options: { signal?: AbortSignal } = {},
  ): Promise<ImageFolder> {
    checkPath('dir', dir)
    checkKnown('ImageFolder.labelled', options, ['signal'])
    throwIfAborted(options.signal)
    if (typeof synsets === 'string' ? synsets === '' : !areSynsets(synsets))
      throw invalid('synsets', 'the path of a synset file, or a list of { wnid, label }', synsets)
    const classes = typeof synsets === 'string' ? await readSynsets(synsets) : synsets
    const labels = new Map(classes.map(({ wnid }, label) => [wnid, label]))
    const images = await someImages(dir, options.signal)
    const samples: LabelledImage[] = []
    const unknown: string[] = []
    for (const name of images) {
      // The file's own name counts first: n01440764_10026.JPEG lies in a folder n01440764 as well as in a flat one.
      const parts = name.split('/').reverse()
      const label = parts.map((part) => labels.get(/^n\d{8}/.exec(part)?.[0] ?? '')).find((one) => one !== undefined)
      if (label === undefined) unknown.push(name)
      else samples.push({ path: join(dir, name), label })
    }
    if (unknown.length > 0)
      throw new GoogLeNetError(
        'GOOGLENET_ERR_LABEL_OUT_OF_RANGE',
        `${unknown.length} of ${images.length} images in ${dir} begin with none of the ${classes.length} WordNet ids ` +
          `of the synset file (such as n01440764_1.jpg): ${some(unknown)}`,
      )
    return new ImageFolder(
      dir,
      classes.map(({ label }) => label),
      samples,
      images,
    )
  }

  /**
   * All images in a folder and below it, for what needs no labels (calibrate()): there are no classes, every label is 0.
   *
   * Throws FILE_NOT_FOUND, DATASET_EMPTY, AbortError.
   */
  static async unlabelled(dir: string, options: { signal?: AbortSignal } = {}): Promise<ImageFolder> {
    checkPath('dir', dir)
    checkKnown('ImageFolder.unlabelled', options, ['signal'])
    throwIfAborted(options.signal)
    const images = await someImages(dir, options.signal)
    return new ImageFolder(
      dir,
      [],
      images.map((name) => ({ path: join(dir, name), label: 0 })),
      images,
    )
  }

  get length(): number {
    return this.samples.length
  }

  /** Positions in `samples` in the order of the epoch: a pure function of length, seed and epoch; see order.ts. */
  order(seed: number, epoch: number): Uint32Array {
    return permutation(this.length, seed, epoch)
  }
}
