/**
 * Words for checking what users pass: every message names the option, what was expected and what came. Unknown
 * names are refused with the nearest known one, so that a typing error never becomes a silent default.
 */
import { inspect } from 'node:util'
import { type ErrorCode, GoogLeNetError } from './errors.js'

export function invalid(
  name: string,
  expected: string,
  got: unknown,
  code: ErrorCode = 'GOOGLENET_ERR_INVALID_ARGUMENT',
) {
  return new GoogLeNetError(code, `${name}: expected ${expected}, got ${show(got)}`)
}

/** Refuses keys of `options` that are not in `known`; undefined values count as absent. */
export function checkKnown(call: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw invalid(`${call} options`, 'an object', options)
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    throw new GoogLeNetError(
      'GOOGLENET_ERR_UNKNOWN_OPTION',
      `${call}: unknown option '${key}'${near ? `; did you mean '${near}'?` : ''} Known: ${known.join(', ')}`,
    )
  }
}

interface Range {
  min?: number
  max?: number
}

export function checkInteger(name: string, value: unknown, { min = 0, max = 2 ** 31 - 1 }: Range = {}): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  throw invalid(name, max === 2 ** 31 - 1 ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`, value)
}

export interface NumberRange extends Range {
  /** Exclusive, where `min` is not enough. */
  above?: number
}

/** The engine computes in float32: there the number has to be finite, and above what it has to be above. */
export function checkNumber(name: string, value: unknown, { min = 0, max, above }: NumberRange = {}): number {
  const fits = (one: number) =>
    one >= min && one <= (max ?? Number.POSITIVE_INFINITY) && (above === undefined || one > above)
  const inRange = typeof value === 'number' && fits(value)
  const single = inRange ? Math.fround(value) : Number.NaN
  if (inRange && Number.isFinite(single) && (above === undefined || single > above)) return value
  const low = above === undefined ? `of at least ${min}` : `above ${above}`
  const range = max === undefined ? low : `from ${min} to ${max}`
  throw invalid(name, `a number ${range}${inRange ? ", within float32's range" : ''}`, value)
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(name, 'true or false', value)
}

export function checkStrings(name: string, value: unknown, expected = 'a list of strings'): readonly string[] {
  if (Array.isArray(value) && Array.from(value).every((one) => typeof one === 'string')) return value
  throw invalid(name, expected, value)
}

export function checkPath(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw invalid(name, 'a path, as a string', value)
}

export function checkOneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T
  throw invalid(name, choices.map((choice) => `'${choice}'`).join(' or '), value)
}

/** The candidate within a third of the word's length in edits, if there is one. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const rated = candidates.map((name) => ({ name, edits: editDistance(word.toLowerCase(), name.toLowerCase()) }))
  const best = rated.sort((a, b) => a.edits - b.edits)[0]
  return best && best.edits <= Math.max(2, Math.ceil(word.length / 3)) ? best.name : undefined
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}

/** A value as messages show it, of any kind and size. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.replaceAll('\0', '\\0')}'`
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as Uint8Array).length})`
  return inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 20 }).slice(0, 80)
}
