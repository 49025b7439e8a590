/** `googlenet eval`: top-1 and top-5 over a folder, of one model or of an ensemble, with 1, 10 or 144 crops. */
import type { Command } from 'commander'
import { ImageFolder } from '../data/dataset.js'
import type { Crops } from '../model/crops.js'
import { evaluate } from '../model/evaluate.js'
import { GoogLeNet } from '../model/model.js'
import {
  addComputeOptions,
  type ComputeOptions,
  choice,
  collect,
  engineOptions,
  type Runner,
  requireFlags,
} from './arguments.js'
import { percent, type Ui } from './ui.js'

interface Options extends ComputeOptions {
  weights: string[]
  data: string
  labels?: string
  crops: string
  resize?: 'warp' | 'short' | 'none'
  strict?: boolean
}

export function addEval(program: Command, run: Runner): void {
  const command = program
    .command('eval')
    .description('evaluate a model, or several as an ensemble')
    .option('--weights <file>', 'model; several times: an ensemble', collect)
    .option('--data <dir>', 'a folder per class; with --labels also files that begin with a WordNet id')
    .option('--labels <file>', 'synset file that fixes the class order of WordNet folders')
    .addOption(choice('--crops <n>', 'views per image', ['1', '10', '144']).default('1'))
    .addOption(choice('--resize <how>', 'before the centre crop', ['warp', 'short', 'none']))
    .option('--strict', 'an image that cannot be decoded is an error')
  addComputeOptions(command).action(() => {
    requireFlags(command, 'weights', 'data')
    return run((ui) => evaluation(command.optsWithGlobals<Options>(), ui))
  })
}

async function evaluation(options: Options, ui: Ui): Promise<void> {
  const { weights, labels, resize, strict } = options
  const { signal } = ui
  const models: GoogLeNet[] = []
  const progress = { stop() {} }
  try {
    for (const file of weights)
      models.push(await GoogLeNet.load(file, { ...engineOptions(options), auxiliary: false, signal }))
    const names = models[0]!.labels
    const data = labels
      ? await ImageFolder.labelled(options.data, labels, { signal })
      : await ImageFolder.open(options.data, {
          signal,
          allowOneClass: true,
          ...(names.length > 0 && { classes: names }),
        })
    const shown = Object.assign(progress, ui.progress('evaluating', data.length))
    const start = performance.now()
    const result = await evaluate(models, data, {
      ...{ crops: Number(options.crops) as Crops, resize, strict, signal },
      onProgress: ({ done }) =>
        shown.update(done, `${((1000 * done) / (performance.now() - start)).toFixed(1)} images/s`),
    })
    progress.stop()
    const { images, top1, top5, loss, skipped, imagesPerSecond } = result
    ui.result(
      { images, top1, top5, loss, skipped, imagesPerSecond },
      `${images} images${skipped > 0 ? ` (${skipped} could not be decoded)` : ''}: top-1 ${percent(top1)}, ` +
        `top-5 ${percent(top5)}, loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(1)} images/s`,
    )
  } finally {
    progress.stop()
    await Promise.all(models.map((model) => model.dispose()))
  }
}
