/**
 * The four emoji sets of the demo, read from their npm packages (Iconify's format: SVG bodies in one JSON file).
 * Which concepts exist in all four, the Unicode group of each, and its drawing in each style. A set is
 * parsed whole and dropped again: only the SVG of shared concepts is kept.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import type { Drawing } from './draw.js'

/** The art styles, named as their npm packages are, in the order in which they are drawn. */
export const emojiStyles = ['noto', 'twemoji', 'openmoji', 'fluent-emoji-flat'] as const
export type EmojiStyle = (typeof emojiStyles)[number]

/** The eight Unicode groups told apart, as Noto's metadata names them, sorted: index = label. Flags are too few. */
export const emojiGroups = [
  'Activities',
  'Animals & Nature',
  'Food & Drink',
  'Objects',
  'People & Body',
  'Smileys & Emotion',
  'Symbols',
  'Travel & Places',
] as const

/** Who drew what, under which licence: printed by the demo, since three of the licences ask for it. */
const credits: Record<EmojiStyle, string> = {
  noto: 'Noto Emoji, Google Inc, Apache-2.0, https://github.com/googlefonts/noto-emoji',
  twemoji: 'Twemoji, Twitter, Inc and other contributors, CC-BY-4.0, https://github.com/jdecked/twemoji',
  openmoji: 'OpenMoji, HfG Schwäbisch Gmünd and contributors, CC-BY-SA-4.0, https://openmoji.org',
  'fluent-emoji-flat': 'Fluent Emoji (flat), Microsoft Corporation, MIT, https://github.com/microsoft/fluentui-emoji',
}

/** One line for each style: title, author, licence, address. */
export const emojiAttribution: readonly string[] = emojiStyles.map((style) => credits[style])

/** One concept that all four styles draw: Iconify's name of it, its label 0..7, and its drawing in each style. */
export interface EmojiConcept {
  name: string
  label: number
  drawings: Record<EmojiStyle, Drawing>
}

export interface EmojiIndex {
  /** Every name that all four packages know, sorted, flags and groupless names included: 1,567. */
  shared: string[]
  /** Those of the eight groups, sorted by name: 1,554. */
  concepts: EmojiConcept[]
}

/** Finds a package's file: `@iconify-json/noto/icons.json` to a path. Tests put their own here. */
export type ResolvePackage = (specifier: string) => string

interface Box {
  left?: number
  top?: number
  width?: number
  height?: number
}
interface Alias extends Box {
  parent: string
  hFlip?: boolean
  vFlip?: boolean
}
interface IconSet extends Box {
  icons: Record<string, Box & { body: string }>
  aliases?: Record<string, Alias>
}
interface Metadata {
  categories: Record<string, string[]>
}

/**
 * Reads the four packages and matches them.
 *
 * Iconify names icons by the Unicode short name (`grinning-face`), so equal names are equal concepts. A name counts
 * for a set when it is an icon there or an alias of one, which bridges renamings (Fluent's `hugging-face` is an alias
 * in the other three). Names with a skin tone drop out by themselves: Fluent spells them `-dark`, the others
 * `-dark-skin-tone`. The group is the one Noto's metadata lists for the very name; five names that are aliases in
 * Noto, and eight flags, have none of the eight groups.
 *
 * Throws GOOGLENET_ERR_FILE_NOT_FOUND when a package is not installed, AbortError on `signal`.
 */
export async function readEmojiIndex(
  options: { resolve?: ResolvePackage; signal?: AbortSignal } = {},
): Promise<EmojiIndex> {
  const resolve = options.resolve ?? createRequire(import.meta.url).resolve
  // All paths first, so that a missing package is told before 50 MB of JSON are parsed.
  const paths = emojiStyles.map((style) => findPackage(style, resolve))
  const groups = groupsByName(await readJson<Metadata>(paths[0]!.metadata))
  const sets: IconSet[] = []
  for (const path of paths) {
    throwIfAborted(options.signal)
    sets.push(await readJson<IconSet>(path.icons))
  }
  const first = sets[0]!
  const shared = [...Object.keys(first.icons), ...Object.keys(first.aliases ?? {})]
    .filter((name) => sets.every((set) => name in set.icons || name in (set.aliases ?? {})))
    .sort()
  const concepts: EmojiConcept[] = []
  for (const name of shared) {
    const label = groups.get(name)
    if (label === undefined) continue
    const drawings = Object.fromEntries(emojiStyles.map((style, index) => [style, drawingOf(sets[index]!, name)]))
    concepts.push({ name, label, drawings: drawings as Record<EmojiStyle, Drawing> })
  }
  return { shared, concepts }
}

function findPackage(style: EmojiStyle, resolve: ResolvePackage): { icons: string; metadata: string } {
  const name = `@iconify-json/${style}`
  try {
    return { icons: resolve(`${name}/icons.json`), metadata: resolve(`${name}/metadata.json`) }
  } catch (cause) {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_FILE_NOT_FOUND',
      `the demo draws its images from the package ${name}, which is not installed (it is an optional dependency); ` +
        `run: npm install ${emojiStyles.map((each) => `@iconify-json/${each}`).join(' ')}`,
      { cause },
    )
  }
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T
}

function groupsByName(metadata: Metadata): Map<string, number> {
  const groups = new Map<string, number>()
  emojiGroups.forEach((group, label) => {
    for (const name of metadata.categories[group] ?? []) groups.set(name, label)
  })
  return groups
}

/** The drawing of a name, aliases followed; a mirrored alias mirrors the drawing (Fluent's right-pointing hand). */
function drawingOf(set: IconSet, name: string): Drawing {
  let flipX = false
  let flipY = false
  let key = name
  for (let depth = 0; !(key in set.icons); depth++) {
    const alias = set.aliases?.[key]
    if (!alias || depth > 8) throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', `the icon ${name} has no drawing`)
    flipX = flipX !== Boolean(alias.hFlip)
    flipY = flipY !== Boolean(alias.vFlip)
    key = alias.parent
  }
  const icon = set.icons[key]!
  const left = icon.left ?? set.left ?? 0
  const top = icon.top ?? set.top ?? 0
  const width = icon.width ?? set.width ?? 16
  const height = icon.height ?? set.height ?? 16
  const dx = flipX ? 2 * left + width : 0
  const dy = flipY ? 2 * top + height : 0
  const body =
    flipX || flipY
      ? `<g transform="translate(${dx} ${dy}) scale(${flipX ? -1 : 1} ${flipY ? -1 : 1})">${icon.body}</g>`
      : icon.body
  return { body, left, top, width, height }
}
