// `npm run lint`: every check that needs no test run, all of them even when one
// fails, so that one run shows everything. `--fix` (npm run format) writes the
// formatting of both languages and stops there.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const fix = process.argv.includes('--fix')

/** Path of the script behind a package's command; npx would look on the network when it is missing. */
function bin(name, command = name) {
  const folder = join(root, 'node_modules', name)
  const entry = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).bin
  return join(folder, typeof entry === 'string' ? entry : entry[command])
}

function run(title, script, args = []) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' })
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${title}`)
  return status === 0
}

function nativeSources(folder = 'native') {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return nativeSources(path)
    return /\.(cc|h|cu|cuh)$/.test(entry.name) ? [path] : []
  })
}

const biome = bin('@biomejs/biome', 'biome')
const clangFormat = bin('clang-format')
if (fix) {
  const formatted = run('biome', biome, ['check', '--write'])
  process.exit(run('clang-format', clangFormat, ['-i', ...nativeSources()]) && formatted ? 0 : 1)
}

const results = [
  run('error codes and tsc', 'scripts/build.mjs', ['--ts-only']),
  run('tsc, tests included', bin('typescript', 'tsc'), ['--noEmit', '-p', 'tsconfig.test.json']),
  run('biome', biome, ['check', '--error-on-warnings']),
  run('clang-format', clangFormat, ['--dry-run', '--Werror', ...nativeSources()]),
  run('rooms', 'scripts/check-rooms.mjs'),
  run('publint', bin('publint'), ['--strict']),
  run('tarball', 'scripts/check-tarball.mjs'),
]
process.exit(results.every(Boolean) ? 0 : 1)
