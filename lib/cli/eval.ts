/** `googlenet eval`: top-1 and top-5 over a folder, of one model or of an ensemble, with 1, 10 or 144 crops. */
import type { Command } from 'commander'
import { ImageFolder } from '../data/dataset.js'
import type { Crops } from '../model/crops.js'
import { evaluate } from '../model/evaluate.js'
import { labelOf } from '../model/labels.js'
import { GoogLeNet } from '../model/model.js'
import type { ClassEvaluation } from '../train/metrics.js'
import {
  addComputeOptions,
  type ComputeOptions,
  choice,
  collect,
  engineOptions,
  type Runner,
  requireFlags,
} from './arguments.js'
import { percent, table, type Ui } from './ui.js'

interface Options extends ComputeOptions {
  weights: string[]
  data: string
  labels?: string
  crops: string
  resize?: 'warp' | 'short' | 'none'
  strict?: boolean
  perClass?: boolean
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
    .option('--per-class', 'also top-1 of every class, and what its images were taken for instead')
  addComputeOptions(command).action(() => {
    requireFlags(command, 'weights', 'data')
    return run((ui) => evaluation(command.optsWithGlobals<Options>(), ui))
  })
}

/** Images with the classes of a synset file or, in folders, of the model. */
export function openLabelled(dir: string, synsets: string | undefined, { labels }: GoogLeNet, signal: AbortSignal) {
  if (synsets) return ImageFolder.labelled(dir, synsets, { signal })
  return ImageFolder.open(dir, { signal, allowOneClass: true, ...(labels.length > 0 && { classes: labels }) })
}

async function evaluation(options: Options, ui: Ui): Promise<void> {
  const { weights, labels, resize, strict, perClass } = options
  const { signal } = ui
  const models: GoogLeNet[] = []
  try {
    for (const file of weights)
      models.push(await GoogLeNet.load(file, { ...engineOptions(options), auxiliary: false, signal }))
    const data = await openLabelled(options.data, labels, models[0]!, signal)
    const crops = Number(options.crops) as Crops
    const result = await ui.counting('evaluating', data.length, (onProgress) =>
      evaluate(models, data, { crops, resize, strict, signal, onProgress }),
    )
    const { images, top1, top5, loss, skipped, imagesPerSecond } = result
    const classes = perClass && namedClasses(result.perClass, data.classes)
    ui.result(
      { images, top1, top5, loss, skipped, imagesPerSecond, ...(classes && { perClass: classes }) },
      `${classes ? `${classTable(classes)}\n\n` : ''}` +
        `${images} images${skipped > 0 ? ` (${skipped} could not be decoded)` : ''}: top-1 ${percent(top1)}, ` +
        `top-5 ${percent(top5)}, loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(1)} images/s`,
    )
  } finally {
    await Promise.all(models.map((model) => model.dispose()))
  }
}

function namedClasses(classes: readonly ClassEvaluation[], labels: readonly string[]) {
  return classes.map(({ takenFor, ...counts }, index) => ({
    ...{ label: labelOf(labels, index), ...counts },
    takenFor: takenFor.map(({ index, images }) => ({ label: labelOf(labels, index), images })),
  }))
}

/** Classes that have images, with the three they were most often taken for, each by the first of its names. */
function classTable(classes: ReturnType<typeof namedClasses>): string {
  const name = (label: string) => label.split(',', 1)[0]!
  const rows = classes
    .filter(({ images }) => images > 0)
    .map(({ label, images, top1, takenFor }) => [
      ...[name(label), images, percent(top1).padStart(7)],
      takenFor
        .slice(0, 3)
        .map((other) => `${name(other.label)} ${other.images}`)
        .join(', '),
    ])
  return table([['class', 'images', 'top-1', 'taken for'], ...rows])
}
