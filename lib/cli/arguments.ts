/**
 * Parsers of flag values, shared by the commands: a wrong value is wrong usage (exit 2) and says what is expected.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Device } from '../device.js'
import type { CreateOptions } from '../model/model-options.js'
import { PRECISIONS } from '../precision.js'
import type { Ui } from './ui.js'

/** Options that every command takes. */
export interface GlobalOptions {
  json?: boolean
  device?: Device
  threads?: number
  seed?: number
}

/** Runs a command with its Ui; turns what it throws into a message and an exit code. */
export type Runner = (body: (ui: Ui) => Promise<void>) => Promise<void>

export function whole(least = 0): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= least && text.trim() !== '') return value
    throw new InvalidArgumentError(`expected an integer of at least ${least}.`)
  }
}

export function number(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0 && text.trim() !== '') return value
  throw new InvalidArgumentError('expected a number of at least 0.')
}

/** Of the commands that compute. */
export interface ComputeOptions extends GlobalOptions {
  exact?: boolean
  streams?: number
  tune?: boolean
  precision?: CreateOptions['precision']
}
export function addComputeOptions(command: Command): Command {
  return command
    .option('--exact', 'direct convolutions only: slower, with the smallest rounding errors')
    .option(
      '--streams <n>',
      'how much runs side by side: calls on the processor, steps of one on a GPU (default: 1)',
      whole(1),
    )
    .option('--tune', 'time the ways to compute every convolution once; remembered in the cache folder')
    .addOption(
      choice(
        '--precision <name>',
        'bf16 needs a processor with AVX512_BF16 or a GPU, tf32 a GPU, int8 a file that quantize made (default: auto, f32)',
        PRECISIONS,
      ),
    )
}
/** Those of them that GoogLeNet.create() and load() take. */
export function engineOptions({ device, threads, exact, streams, tune, precision }: ComputeOptions) {
  return { device, threads, exact, streams, tune, precision }
}

/** For flags that may be given several times. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, text]
}

/** For flags that take several values at once. */
export function commaList(text: string): string[] {
  return text.split(',').map((item) => item.trim())
}

export function choice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices)
}

/** Commander asks for mandatory flags before it looks for misspelt ones; asked here, the typing error is what is told. */
export function requireFlags(command: Command, ...names: string[]): void {
  for (const option of command.options) {
    const missing =
      names.includes(option.attributeName()) && command.getOptionValue(option.attributeName()) === undefined
    if (missing) command.error(`error: required option '${option.flags}' not specified`, { code: 'missing' })
  }
}
