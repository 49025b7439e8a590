/** NVIDIA's compute-sanitizer, where it is installed. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

export const SANITIZER = 'compute-sanitizer'
const path = [join(process.env.CUDA_HOME ?? '/usr/local/cuda', 'bin', SANITIZER), SANITIZER].find(
  (name) => spawnSync(name, ['--version']).status === 0,
)
export const sanitizerAbsent = path === undefined
/** For titles. */
export const sanitizerReason = sanitizerAbsent ? ' (skipped: not installed)' : ''

/** The beginning of a command that runs another, its child processes too, and ends with 9 when a tool finds something. */
export const under = (tool: string) => [path!, '--tool', tool, '--target-processes', 'all', '--error-exitcode', '9']
