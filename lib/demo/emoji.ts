/**
 * The demo's data: 1,554 emoji concepts in four art styles and eight Unicode groups, drawn from npm packages. Three
 * styles train; the fourth is never trained on, and a fifth of the concepts is trained on in no style. That gives two
 * test sets: concepts that were seen, in a new style; and new concepts in that new style.
 */
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { drawAll, type Rgb } from './draw.js'
import {
  type EmojiConcept,
  type EmojiStyle,
  emojiAttribution,
  emojiGroups,
  emojiStyles,
  type ResolvePackage,
  readEmojiIndex,
} from './icons.js'
import { isHeldOut } from './split.js'

export interface EmojiOptions {
  /** Side S of the images, pixels. */
  size: number
  heldOutStyle: EmojiStyle
  /** Chooses which fifth of the concepts is held out. */
  seed: number
  /** Colour behind the drawings; white when not given. */
  background?: Rgb
  signal?: AbortSignal
  /** Called after each of the `total` drawings. */
  onProgress?: (done: number, total: number) => void
  /** Where packages are; Node's own resolution when not given. */
  resolve?: ResolvePackage
}

/** N images; image i is `images.subarray(i*S*S*3, (i+1)*S*S*3)`. */
export interface EmojiSet {
  /** uint8 (N,S,S,3), RGB. */
  images: Uint8Array
  /** (N), index into `classes`. */
  labels: Int32Array
  /** (N), `style/concept`, as in `noto/red-apple`. */
  names: string[]
}

export interface EmojiData {
  /** The eight groups; a label is an index into them. */
  classes: string[]
  /** Three styles of about four fifths of the concepts, style by style. */
  train: EmojiSet
  /** The held-out style of the concepts that `train` has in other styles. */
  newStyle: EmojiSet
  /** The held-out style of the concepts that `train` lacks. */
  newConcept: EmojiSet
  /** One line for each of the four sets of drawings, to be shown to whoever sees them. */
  attribution: string[]
}

/**
 * Reads, splits and draws. Errors: GOOGLENET_ERR_INVALID_ARGUMENT for a size or style that cannot be, GOOGLENET_ERR_FILE_NOT_FOUND
 * for a package that is not installed (with the command that mends it), AbortError on `signal`.
 */
export async function loadEmoji(options: EmojiOptions): Promise<EmojiData> {
  const { size, heldOutStyle, seed, signal, onProgress } = options
  if (!Number.isInteger(size) || size < 8 || size > 1024) {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_INVALID_ARGUMENT',
      `size must be a whole number from 8 to 1024, not ${size}`,
    )
  }
  if (!emojiStyles.includes(heldOutStyle)) {
    const known = emojiStyles.join(', ')
    throw new GoogLeNetError(
      'GOOGLENET_ERR_INVALID_ARGUMENT',
      `heldOutStyle must be one of ${known}, not ${heldOutStyle}`,
    )
  }
  throwIfAborted(signal)
  const { concepts } = await readEmojiIndex({ resolve: options.resolve, signal })
  const seen = concepts.filter(({ name }) => !isHeldOut(name, seed))
  const unseen = concepts.filter(({ name }) => isHeldOut(name, seed))
  const trainStyles = emojiStyles.filter((style) => style !== heldOutStyle)
  const parts = [
    trainStyles.flatMap((style) => seen.map((concept) => ({ concept, style }))),
    seen.map((concept) => ({ concept, style: heldOutStyle })),
    unseen.map((concept) => ({ concept, style: heldOutStyle })),
  ]
  const total = parts.reduce((sum, part) => sum + part.length, 0)
  const sets: EmojiSet[] = []
  let before = 0
  for (const part of parts) {
    const images = await drawAll(
      part.map(({ concept, style }) => concept.drawings[style]),
      {
        size,
        background: options.background ?? [255, 255, 255],
        signal,
        onDrawn: (done) => onProgress?.(before + done, total),
      },
    )
    before += part.length
    sets.push(describe(part, images))
  }
  const [train, newStyle, newConcept] = sets as [EmojiSet, EmojiSet, EmojiSet]
  return { classes: [...emojiGroups], train, newStyle, newConcept, attribution: [...emojiAttribution] }
}

function describe(part: { concept: EmojiConcept; style: EmojiStyle }[], images: Uint8Array): EmojiSet {
  return {
    images,
    labels: Int32Array.from(part, ({ concept }) => concept.label),
    names: part.map(({ concept, style }) => `${style}/${concept.name}`),
  }
}
