/**
 * `googlenet build`: compiles here what no binary of a release serves, the addon or the CUDA backend beside it; at
 * install npm runs nothing (docs/decisions/0008-packaging.md).
 */
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { AbortError, GoogLeNetError } from '../errors.js'
import { addonFile, PACKAGE_ROOT } from '../native.js'
import type { Runner } from './arguments.js'
import type { Ui } from './ui.js'

interface Options {
  cuda?: boolean
  arch?: string
  force?: boolean
}

export function addBuild(program: Command, run: Runner): void {
  program
    .command('build')
    .description('compile the native addon, or with --cuda the backend for NVIDIA GPUs')
    .option('--cuda', 'googlenet_cuda.so beside the addon, which is compiled first where there is none')
    .option(
      '--arch <list>',
      "with --cuda: compute capabilities, '80,90' or 'all' (default: this machine's GPUs, else 90)",
    )
    .option('--force', 'compile everything again')
    .action((options: Options) => run((ui) => build(options, ui)))
}

async function build({ cuda, arch, force }: Options, ui: Ui): Promise<void> {
  if (arch !== undefined && !cuda)
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `--arch ${arch}: expected --cuda, which it is about`)
  const again = force ? ['--force'] : []
  if (!cuda || !addonFile()) await script('build.mjs', ['--native-only', ...again], ui)
  const addon = addonFile()
  if (!addon) throw failed('build.mjs', 'it ended without a binary')
  if (!cuda) return ui.result({ addon }, addon)
  const folder = dirname(addon)
  await script(
    'build-cuda.mjs',
    [`--output=${folder}`, ...(arch === undefined ? [] : [`--arch=${arch}`]), ...again],
    ui,
  )
  const backend = join(folder, 'googlenet_cuda.so')
  ui.result({ addon, backend }, backend)
}

const failed = (name: string, reason: string) =>
  new GoogLeNetError('GOOGLENET_ERR_NATIVE_NOT_FOUND', `scripts/${name} could not compile: ${reason}`)

/** Lines of a failed script that are told with --json. */
const LAST_LINES = 20

/** What it says goes to stderr as it comes; with --json the end of it is told when it fails. */
function script(name: string, args: string[], { json, signal }: Ui): Promise<void> {
  return new Promise((resolve, reject) => {
    // In a process group of its own, so that compilers end with it.
    const child = spawn(process.execPath, [join(PACKAGE_ROOT, 'scripts', name), ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let told = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        if (json) told += text
        else process.stderr.write(text)
      })
    const stop = () => process.kill(-child.pid!, 'SIGTERM')
    signal.addEventListener('abort', stop, { once: true })
    child.on('error', reject)
    child.on('close', (code) => {
      signal.removeEventListener('abort', stop)
      if (signal.aborted) reject(new AbortError(signal.reason))
      else if (code === 0) resolve()
      else reject(failed(name, json ? told.trim().split('\n').slice(-LAST_LINES).join('\n') : 'see above'))
    })
  })
}
