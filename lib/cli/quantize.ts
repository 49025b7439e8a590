/**
 * `googlenet quantize`: a model file with the ranges that int8 needs, measured on photos like those to come; with --val
 * also what int8 costs in accuracy. The weights in the file stay f32.
 */
import { extname } from 'node:path'
import type { Command } from 'commander'
import { ImageFolder } from '../data/dataset.js'
import { GoogLeNetError } from '../errors.js'
import { GoogLeNet } from '../model/model.js'
import { METHODS, type Method, rangeChoice } from '../model/ranges.js'
import type { Evaluation } from '../train/metrics.js'
import { choice, type GlobalOptions, number, type Runner, requireFlags, whole } from './arguments.js'
import { openLabelled } from './eval.js'
import { percent, table, type Ui } from './ui.js'

interface Options extends GlobalOptions {
  weights: string
  data: string
  output: string
  method?: Method
  percentile?: number
  images: number
  resize?: 'warp' | 'short' | 'none'
  val?: string
  labels?: string
}

export function addQuantize(program: Command, run: Runner): void {
  const command = program
    .command('quantize')
    .description('calibrate a model for int8')
    .option('--weights <file>', 'model: .safetensors or .caffemodel')
    .option('--data <dir>', 'photos to calibrate on, in it and below; no labels needed')
    .option('--output <file>', 'the model with its ranges, without auxiliary heads: .safetensors')
    .addOption(choice('--method <name>', 'how ranges follow from the values (default: entropy)', METHODS))
    .option('--percentile <x>', 'with --method percentile: of the values above 0 (default: 99.99)', number)
    .option('--images <n>', 'at most so many of the photos, drawn at random', whole(1), 500)
    .addOption(choice('--resize <how>', 'before the centre crop', ['warp', 'short', 'none']))
    .option('--val <dir>', 'also evaluate in f32 and in int8 on this folder')
    .option('--labels <file>', 'with --val: synset file that fixes the class order of WordNet folders')
  command.action(() => {
    requireFlags(command, 'weights', 'data', 'output')
    return run((ui) => quantize(command.optsWithGlobals<Options>(), ui))
  })
}

async function quantize(options: Options, ui: Ui): Promise<void> {
  const { weights, output, device, threads, resize, images: limit } = options
  const { signal } = ui
  const ranges = rangeChoice(options.method, options.percentile)
  if (extname(output).toLowerCase() !== '.safetensors') {
    const message = `--output: expected a name that ends in .safetensors, the format that holds ranges; got ${output}`
    throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', message)
  }
  await using model = await GoogLeNet.load(weights, { device, threads, auxiliary: false, signal })
  const data = await ImageFolder.unlabelled(options.data, { signal })
  const validation = options.val && (await openLabelled(options.val, options.labels, model, signal))
  const { blobs, images } = await ui.counting('calibrating', Math.min(limit, data.length), (onProgress) =>
    model.calibrate(data, { ...ranges, limit, resize, signal, onProgress }),
  )
  await model.save(output, { signal })
  const by = ranges.method === 'percentile' ? `percentile ${ranges.percentile}` : ranges.method
  const result = { output, ...ranges, images, blobs: blobs.size }
  const told = `${output}: ranges of ${blobs.size} blobs, by ${by} of ${images} images`
  if (!validation) return ui.result(result, told)

  ui.note(told)
  const evaluate = (one: GoogLeNet) =>
    ui.counting(`evaluating in ${one.precision}`, validation.length, (onProgress) =>
      one.evaluate(validation, { resize, signal, onProgress }),
    )
  const f32 = await evaluate(model)
  await using quantized = await GoogLeNet.load(output, { device: 'cpu', precision: 'int8', threads, signal })
  const int8 = await evaluate(quantized)
  const figures = ({ top1, top5, loss, imagesPerSecond }: Evaluation) => ({ top1, top5, loss, imagesPerSecond })
  const row = (name: string, { top1, top5, loss, imagesPerSecond }: Evaluation) => {
    return [name, percent(top1), percent(top5), loss.toFixed(4), imagesPerSecond.toFixed(1)]
  }
  ui.result(
    { ...result, validation: { images: f32.images, f32: figures(f32), int8: figures(int8) } },
    table([['', 'top-1', 'top-5', 'loss', 'images/s'], row('f32', f32), row('int8', int8)]),
  )
}
