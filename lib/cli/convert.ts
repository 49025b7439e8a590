/** `googlenet convert`: one weight format to another, chosen by the names' endings. */
import type { Command } from 'commander'
import { saveFile, WRITABLE } from '../model/save.js'
import { loadModelFile } from '../weights/checkpoint.js'
import type { Runner } from './arguments.js'
import type { Ui } from './ui.js'

export function addConvert(program: Command, run: Runner): void {
  program
    .command('convert')
    .description('convert weights between .safetensors and .caffemodel')
    .argument('<in>', '.caffemodel or .safetensors (also a checkpoint: its weights)')
    .argument('<out>', WRITABLE.join(' or '))
    .action((source: string, target: string) => run((ui) => convert(source, target, ui)))
}

async function convert(source: string, target: string, ui: Ui): Promise<void> {
  const { signal } = ui
  const file = await loadModelFile(source, { signal })
  const lost = await saveFile(target, file, signal)
  if (lost.length > 0) ui.note(`left out: a .caffemodel has no place for ${lost.join(' and ')}`)
  const { weights } = file
  const parameters = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0)
  ui.result(
    { tensors: weights.size, parameters },
    `${target}: ${weights.size} tensors, ${parameters.toLocaleString('en-US')} parameters`,
  )
}
