#!/usr/bin/env node
/**
 * The command line: registers the commands, links signals to an AbortSignal, and turns every outcome into an exit
 * code: 0 done, 1 failed, 2 wrong usage, 130 interrupted (after saving).
 */
import { createRequire } from 'node:module'
import { Command, CommanderError, Option } from 'commander'
import { AbortError, GoogLeNetError } from '../errors.js'
import { type GlobalOptions, type Runner, whole } from './arguments.js'
import { addBench } from './bench.js'
import { addBuild } from './build.js'
import { addConvert } from './convert.js'
import { addDemo } from './demo.js'
import { addDoctor } from './doctor.js'
import { addEval } from './eval.js'
import { addPredict } from './predict.js'
import { addQuantize } from './quantize.js'
import { addSummary } from './summary.js'
import { addTrain } from './train.js'
import { Ui } from './ui.js'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
const interrupted = new AbortController()

const program = new Command('googlenet')
  .description('GoogLeNet (Inception v1): train, evaluate, predict')
  .version(version)
  .option('--json', 'one JSON object on the last line of stdout, nothing else')
  .addOption(new Option('--device <name>', "'auto', 'cpu', 'cuda' or 'cuda:N' (default: auto)"))
  .option('--threads <n>', 'CPU threads (default: all this process may use)', whole(1))
  .option('--seed <n>', 'of initialisation, dropout, data order and augmentation (default: 1)', whole())
  .exitOverride()
  .configureOutput({ writeErr: (text) => process.argv.includes('--json') || process.stderr.write(text) })
  .showHelpAfterError('(--help shows the options)')

const run: Runner = async (body) => {
  await body(new Ui(program.opts<GlobalOptions>().json ?? false, interrupted.signal))
}

addTrain(program, run)
addEval(program, run)
addPredict(program, run)
addConvert(program, run)
addQuantize(program, run)
addSummary(program, run)
addBench(program, run)
addDoctor(program, run)
addBuild(program, run)
addDemo(program, run)

for (const command of program.commands) command.copyInheritedSettings(program)

// The first signal ends the run in order; whoever sends a second one does not want to wait.
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(130)
    interrupted.abort(name)
  })
}
// `googlenet … | head` closes the pipe early; that is no failure. A result that cannot be written is one.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`error: standard output could not be written: ${error.message}\n`)
  process.exit(1)
})
// Nobody listens to progress any more: no reason to stop.
process.stderr.on('error', () => {})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  const json = process.argv.includes('--json')
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0
    const code =
      error.code === 'commander.unknownOption' ? 'GOOGLENET_ERR_UNKNOWN_OPTION' : 'GOOGLENET_ERR_INVALID_ARGUMENT'
    if (json) writeError(code, error.message.replace(/^error: /, ''))
    return 2
  }
  const { code = 'GOOGLENET_ERR_INTERNAL', message } = error as { code?: string; message: string }
  if (json) writeError(code, message)
  else if (error instanceof GoogLeNetError) process.stderr.write(`error: ${message}\n${hint(code)}`)
  else if (!(error instanceof AbortError)) process.stderr.write(`error: ${(error as Error).stack ?? error}\n`)
  if (error instanceof AbortError) return 130
  const usage = code === 'GOOGLENET_ERR_UNKNOWN_OPTION' || code === 'GOOGLENET_ERR_INVALID_ARGUMENT'
  return usage ? 2 : 1
}

function writeError(code: string, message: string): void {
  process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`)
}

/** What helps where the message alone does not say it. */
function hint(code: string): string {
  const hints: Record<string, string> = {
    GOOGLENET_ERR_OUT_OF_MEMORY: 'a smaller --batch, --input-size or --width needs less',
    GOOGLENET_ERR_DATASET_EMPTY: 'expected DIR/<class>/<image>, for instance flowers/train/rose/1.jpg',
    GOOGLENET_ERR_DEVICE_UNAVAILABLE: "'googlenet doctor' shows what was found",
  }
  return hints[code] ? `hint: ${hints[code]}\n` : ''
}
