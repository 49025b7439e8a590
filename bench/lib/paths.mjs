/**
 * Where things lie: the checkout, the folder of peers and prepared files that git ignores (it carries its own
 * .gitignore), and the reference data, which is optional.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const contendersFolder = fileURLToPath(new URL('../contenders', import.meta.url))
/** Tests name another folder, without peers. */
export const peersFolder = process.env.BENCH_PEERS ?? fileURLToPath(new URL('../.peers', import.meta.url))
export const preparedFolder = join(peersFolder, 'prepared')
export const dataFolder = process.env.GOOGLENET_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url))

export function makeFolders() {
  mkdirSync(preparedFolder, { recursive: true })
  writeFileSync(join(peersFolder, '.gitignore'), '*\n')
}

/** Path of a reference file, or undefined where there is none. */
export function dataFile(path) {
  const file = join(dataFolder, path)
  return existsSync(file) ? file : undefined
}
