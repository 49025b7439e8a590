/**
 * `googlenet train`: trains on a folder of class folders, from scratch or from the weights of another model, or goes
 * on with a run. SIGINT and SIGTERM save the run first.
 */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { ImageFolder } from '../data/dataset.js'
import type { Device } from '../device.js'
import { GoogLeNetError } from '../errors.js'
import { GoogLeNet } from '../model/model.js'
import { lastCheckpoint } from '../train/run-folder.js'
import {
  addComputeOptions,
  choice,
  collect,
  commaList,
  engineOptions,
  number,
  type Runner,
  whole,
} from './arguments.js'
import {
  AUGMENTATIONS,
  AVERAGES,
  averageOf,
  OPTIMIZERS,
  optimizerOf,
  resolveTrainConfig,
  SCHEDULES,
  scheduleOf,
  type TrainConfig,
  type TrainFlags,
  workerOptions,
} from './train-config.js'
import { TrainReport } from './train-report.js'
import type { Ui } from './ui.js'

/** The classifiers are new, the rest needs little: a tenth of BVLC's base_lr. */
const FINE_TUNING_RATE = 0.001
const RATE = 0.01

export function addTrain(program: Command, run: Runner): void {
  const command = program
    .command('train')
    .description('train on a folder of class folders')
    .option('--data <dir>', 'training images, a folder per class (required, here or in --config)')
    .option('--val <dir>', 'validation images, evaluated after each epoch')
    .option('--weights <file>', 'fine-tune this model; other classes get a new classifier')
    .option('--out <dir>', "checkpoints, metrics.jsonl and config.json (default: 'run')")
    .option('--epochs <n>', 'in total, also with --resume (default: 10)', whole(1))
    .option('--batch <n>', 'images per step (default: 32)', whole(1))
    .option('--lr <x>', 'learning rate at the start (default: 0.01, with --weights 0.001)', number)
    .addOption(choice('--schedule <name>', 'how the rate falls (default: paper)', SCHEDULES))
    .option('--warmup <n>', 'images over which the rate first rises from 0 (default: 0)', whole(0))
    .addOption(choice('--optimizer <name>', 'default: sgd', OPTIMIZERS))
    .option('--momentum <x>', 'default: 0.9', number)
    .option('--weight-decay <x>', 'default: 0.0002', number)
    .option('--clip <x>', "limit of the gradient's norm; 0: none (default)", number)
    .addOption(choice('--augment <policy>', 'default: inception, the one of the paper', AUGMENTATIONS))
    .addOption(
      choice('--average <kind>', 'of the weights, for validation and the saved model (default: none)', AVERAGES),
    )
    .option('--average-decay <x>', 'of --average ema (default: 0.999)', number)
    .option('--average-from <n>', 'updates before it begins (polyak: half of the run; ema: 0)', whole(0))
    .option('--workers <n>', 'asynchronous workers, each on its share of the threads (default: none)', whole(1))
    .option('--devices <list>', 'of the workers, in turns: cuda:0,cuda:1 (default: that of --device)', commaList)
    .option('--sync', 'workers in step: one update with the mean of their gradients')
    .option('--backup-workers <n>', 'late gradients a round of --sync does not wait for (default: 0)', whole(0))
    .option('--fetch-every <n>', 'steps between two fetches of the weights (default: 1)', whole(1))
    .option('--push-every <n>', 'steps between two pushes of gradients (default: 1)', whole(1))
    .addOption(choice('--staleness <policy>', 'scale: rate / max(1, staleness) (default: none)', ['none', 'scale']))
    .option('--max-staleness <n>', 'staler gradients are thrown away (default: none is)', whole(0))
    .option('--softsync <n>', 'n-softsync: an update is the mean of workers/n gradients', whole(1))
    .option('--momentum-correction', 'less momentum by the 1 - 1/workers that asynchrony adds')
    .addOption(choice('--on-worker-error <what>', 'default: stop', ['stop', 'drop']))
    .option('--record <file>', 'write the order of all pushes, for --replay')
    .option('--replay <file>', 'repeat a recorded run bit for bit')
    .option('--freeze <glob>', "layers that stay as they are, such as 'conv*'; several times", collect)
    .option('--input-size <n>', "default: 224, or the model's", whole(1))
    .option('--width <x>', 'multiplies the channels (default: 1)', number)
    .addOption(choice('--block <kind>', 'Inception module (default: reduced)', ['reduced', 'naive']))
    .option('--strict', 'an image that cannot be decoded is an error')
    .option('--resume <dir>', 'go on with a run, bit for bit (asynchronous workers: from their last update)')
    .option('--config <file>', 'options as JSON; flags win')
  addComputeOptions(command).action(() => run((ui) => train(command.optsWithGlobals<TrainFlags>(), ui)))
}

async function train(flags: TrainFlags, ui: Ui): Promise<void> {
  const { resume } = flags
  const config = await resolveTrainConfig(flags)
  const { signal } = ui
  if (resume !== config.out) await refuseExistingRun(config.out)
  const data = await ImageFolder.open(config.data, { signal })
  const validation = config.val
    ? await ImageFolder.open(config.val, { signal, classes: data.classes, allowOneClass: true })
    : undefined
  await using model = await openModel(config, data, resume, signal)
  ui.note(
    `${data.length} images of ${data.classes.length} classes` +
      `${validation ? `, ${validation.length} for validation` : ''}; ${model.threads} threads on ${model.device} in ${model.precision}`,
  )
  const lr = config.lr ?? (config.weights ? FINE_TUNING_RATE : RATE)
  const { epochs, batch: batchSize, augment, freeze, strict, out, seed } = config
  const events = model.fit(data, {
    ...{ epochs, batchSize, validation, augment, freeze, strict, out, resume, signal },
    ...workerOptions(config),
    optimizer: optimizerOf(config, lr),
    schedule: scheduleOf(config, lr),
    average: averageOf(config),
    seed: resume && flags.seed === undefined ? undefined : seed,
    config: { ...config, lr },
  })

  const batches = Math.max(1, Math.floor(data.length / Math.min(batchSize, data.length)))
  const report = new TrainReport(ui, epochs, batches * Math.min(batchSize, data.length))
  try {
    for await (const event of events) {
      if (event.type === 'step') report.step(event)
      else if (event.type === 'epoch') report.epoch(event)
      else if (event.type === 'skip') ui.note(`left out ${event.path}: ${event.message}`)
      else if (event.type === 'worker') ui.note(`dropped worker ${event.worker}: ${event.message}`)
    }
  } finally {
    report.stop()
    if (signal.aborted) ui.note(`stopped after step ${report.steps}; go on with --resume ${out}`)
  }
  report.result(out, model.steps)
}

/** A new run over an old one would destroy hours of work for a forgotten flag. */
async function refuseExistingRun(out: string): Promise<void> {
  const exists = await stat(lastCheckpoint(out)).then(
    () => true,
    () => false,
  )
  if (!exists) return
  const message = `${out} already holds a run: go on with --resume ${out}, or choose another --out`
  throw new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', message)
}

async function openModel(config: TrainConfig, data: ImageFolder, resume: string | undefined, signal: AbortSignal) {
  const { inputSize, width, block, seed, weights, devices } = config
  const common = engineOptions({ ...config, device: (config.device ?? devices?.[0]) as Device | undefined })
  if (resume) return GoogLeNet.load(lastCheckpoint(resume), { ...common, signal })
  const options = { ...common, inputSize, width, block, seed, classes: data.classes.length, labels: data.classes }
  return weights ? GoogLeNet.load(weights, { ...options, auxiliary: true, signal }) : GoogLeNet.create(options)
}
