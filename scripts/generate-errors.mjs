// Writes lib/error-codes.ts (git-ignored) from native/core/errors.def, the one list
// of error codes that C++ includes as well. Runs before tsc and before tests.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const definitions = fileURLToPath(new URL('../native/core/errors.def', import.meta.url))
const target = fileURLToPath(new URL('../lib/error-codes.ts', import.meta.url))

/** Reads GOOGLENET_ERROR(NAME, "meaning") lines; anything else in the file is a comment. */
export function parseErrors(text) {
  const entries = []
  for (const line of text.split('\n')) {
    if (!line.startsWith('GOOGLENET_ERROR(')) continue
    const match = /^GOOGLENET_ERROR\(([A-Z][A-Z0-9_]*), "((?:[^"\\]|\\.)*)"\)\s*$/.exec(line)
    if (!match) throw new Error(`errors.def: expected GOOGLENET_ERROR(NAME, "meaning"), got: ${line}`)
    entries.push([match[1], JSON.parse(`"${match[2]}"`)])
  }
  return entries
}

/** Rewrites the file only when its text changes, so that tsc and watchers stay quiet. */
export function generateErrors() {
  if (!existsSync(definitions)) return false
  const quote = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const rows = parseErrors(readFileSync(definitions, 'utf8')).map(
    ([name, meaning]) => `  GOOGLENET_ERR_${name}: ${quote(meaning)},\n`,
  )
  const text = `/** Generated from native/core/errors.def by scripts/generate-errors.mjs. */\nexport const errorCodes = {\n${rows.join('')}} as const\n`
  if (existsSync(target) && readFileSync(target, 'utf8') === text) return false
  writeFileSync(target, text)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generateErrors()
