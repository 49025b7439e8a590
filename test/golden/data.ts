/** Where the outside reference data lies, and the reason shown by tests that are skipped without it. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = process.env.GOOGLENET_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url))

export const dataAbsent = !existsSync(`${root}/golden`)
/** For titles. */
export const skipReason = dataAbsent ? ' (skipped: no ../shared/data and no GOOGLENET_DATA)' : ''

export function dataPath(path: string): string {
  return `${root}/${path}`
}
