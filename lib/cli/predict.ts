/** `googlenet predict`: the most probable classes of images. */
import type { Command } from 'commander'
import { readLabels } from '../model/labels.js'
import { GoogLeNet } from '../model/model.js'
import {
  addComputeOptions,
  type ComputeOptions,
  choice,
  engineOptions,
  type Runner,
  requireFlags,
  whole,
} from './arguments.js'
import { percent, table, type Ui } from './ui.js'

interface Options extends ComputeOptions {
  weights: string
  labels?: string
  top: number
  resize: 'warp' | 'short' | 'none'
}

export function addPredict(program: Command, run: Runner): void {
  const command = program
    .command('predict')
    .description('classify images')
    .argument('<image...>', 'image files')
    .option('--weights <file>', 'model: .safetensors or .caffemodel')
    .option('--labels <file>', 'names of the classes, one a line (synset_words.txt); default: those in the model')
    .option('--top <k>', 'guesses per image', whole(1), 5)
    .addOption(choice('--resize <how>', 'before the centre crop', ['warp', 'short', 'none']).default('warp'))
  addComputeOptions(command).action((images: string[]) => {
    requireFlags(command, 'weights')
    return run((ui) => predict(images, command.optsWithGlobals<Options>(), ui))
  })
}

async function predict(images: string[], options: Options, ui: Ui): Promise<void> {
  const { weights, top, resize } = options
  const { signal } = ui
  const labels = options.labels ? await readLabels(options.labels) : undefined
  await using model = await GoogLeNet.load(weights, { ...engineOptions(options), auxiliary: false, labels, signal })
  const guesses = await model.predict(images, { top, resize, signal })
  const predictions = images.map((image, index) => ({ image, top: guesses[index]! }))
  const text = predictions.map(({ image, top }) => {
    return `${image}\n${table(top.map(({ label, probability }) => [`  ${percent(probability).padStart(7)}`, label]))}`
  })
  ui.result({ predictions }, text.join('\n'))
}
