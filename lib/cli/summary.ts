/** `googlenet summary`: layers, shapes, parameters and multiply-accumulates of a network. */
import type { Command } from 'commander'
import { GoogLeNet } from '../model/model.js'
import type { Summary } from '../model/summary.js'
import { choice, type GlobalOptions, number, type Runner, whole } from './arguments.js'
import { table, type Ui } from './ui.js'

interface Options extends GlobalOptions {
  block: 'reduced' | 'naive'
  classes: number
  inputSize: number
  width: number
}

export function addSummary(program: Command, run: Runner): void {
  program
    .command('summary')
    .description('show layers, shapes, parameters and MACs')
    .addOption(
      choice('--block <kind>', 'Inception module, figure 2 of the paper', ['reduced', 'naive']).default('reduced'),
    )
    .option('--classes <n>', 'number of classes', whole(2), 1000)
    .option('--input-size <n>', 'height and width of the input', whole(1), 224)
    .option('--width <x>', 'multiplies the channels', number, 1)
    .action((_options, command: Command) => run((ui) => summary(command.optsWithGlobals<Options>(), ui)))
}

async function summary({ block, classes, inputSize, width, device, threads }: Options, ui: Ui): Promise<void> {
  await using model = await GoogLeNet.create({ block, classes, inputSize, width, device, threads })
  const summary = model.summary()
  ui.result(summary, format(summary))
}

function format({ layers, parameters, trainingParameters, macs }: Summary): string {
  const rows = layers.map((row) => [
    ...[row.name, row.op, row.detail, row.shape.join(' x ')],
    ...[row.parameters, row.macs, row.phase === 'train' ? 'training only' : ''],
  ])
  const count = (value: number) => value.toLocaleString('en-US')
  return [
    table([['layer', 'op', 'kernel', 'C x H x W', 'parameters', 'MACs', ''], ...rows]),
    '',
    `${count(parameters)} parameters and ${count(macs)} MACs at inference, ${count(trainingParameters)} parameters while training`,
  ].join('\n')
}
