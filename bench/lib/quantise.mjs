/**
 * int8 models: each contender's own program makes one from the prepared weights and calibration photos, once, into a
 * folder of bench/.peers/prepared. Remove that folder to have it made anew.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled, pythonOf } from './install.mjs'
import { contendersFolder, preparedFolder } from './paths.mjs'

/**
 * Makes the models that these contenders still lack.
 *
 * @returns the contenders, those that have none now with the reason as their `problem`
 */
export function quantise(contenders, threads, progress) {
  return contenders.map((contender) => {
    if (!contender.does.inference?.includes('int8') || !isInstalled(contender)) return contender
    const problem = make(contender, threads, progress)
    return problem ? { ...contender, problem: `not quantised: ${problem}` } : contender
  })
}

function make({ quantiser }, threads, progress) {
  const folder = join(preparedFolder, `int8-${quantiser.split('_quantise')[0]}`)
  if (existsSync(folder)) return undefined
  progress(`${quantiser} quantises`)
  const part = `${folder}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part)
  const command = quantiser.endsWith('.py') ? pythonOf('venv') : process.execPath
  const env = { BENCH_THREADS: String(threads), BENCH_PREPARED: preparedFolder, BENCH_MADE: part }
  const { status, stderr, error } = spawnSync(command, [join(contendersFolder, quantiser)], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status !== 0) return error?.message ?? reason(stderr)
  renameSync(part, folder)
  return undefined
}

/** The line that names the error, of Python's traces or Node's. */
function reason(text) {
  const lines = text.trim().split('\n')
  return lines.findLast((line) => /^\w*(Error|Exception)\b/.test(line)) ?? lines.at(-1)
}
