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
import type { EpochEvent, StepEvent } from '../train/events.js'
import { sgd } from '../train/optimizer.js'
import { lastCheckpoint } from '../train/run-folder.js'
import { type Schedule, schedules } from '../train/schedule.js'
import { choice, collect, exactOption, number, type Runner, whole } from './arguments.js'
import { AUGMENTATIONS, resolveTrainConfig, SCHEDULES, type TrainConfig, type TrainFlags } from './train-config.js'
import { percent, type Ui } from './ui.js'

/** The classifiers are new, the rest needs little: a tenth of BVLC's base_lr. */
const FINE_TUNING_RATE = 0.001
const RATE = 0.01

export function addTrain(program: Command, run: Runner): void {
  program
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
    .option('--momentum <x>', 'default: 0.9', number)
    .option('--weight-decay <x>', 'default: 0.0002', number)
    .option('--clip <x>', "limit of the gradient's norm; 0: none (default)", number)
    .addOption(choice('--augment <policy>', 'default: inception, the one of the paper', AUGMENTATIONS))
    .option('--freeze <glob>', "layers that stay as they are, such as 'conv*'; several times", collect)
    .option('--input-size <n>', "default: 224, or the model's", whole(1))
    .option('--width <x>', 'multiplies the channels (default: 1)', number)
    .addOption(choice('--block <kind>', 'Inception module (default: reduced)', ['reduced', 'naive']))
    .addOption(exactOption())
    .option('--strict', 'an image that cannot be decoded is an error')
    .option('--resume <dir>', 'go on with a run, bit for bit')
    .option('--config <file>', 'options as JSON; flags win')
    .action((_options, command: Command) => run((ui) => train(command.optsWithGlobals<TrainFlags>(), ui)))
}

async function train(flags: TrainFlags, ui: Ui): Promise<void> {
  const { resume } = flags
  const config = await resolveTrainConfig(flags)
  const { signal } = ui
  if (!resume) await refuseExistingRun(config.out)
  const data = await ImageFolder.open(config.data, { signal })
  const validation = config.val
    ? await ImageFolder.open(config.val, { signal, classes: data.classes, allowOneClass: true })
    : undefined
  await using model = await openModel(config, data, resume, signal)
  ui.note(
    `${data.length} images of ${data.classes.length} classes` +
      `${validation ? `, ${validation.length} for validation` : ''}; ${model.threads} threads on ${model.device}`,
  )
  const lr = config.lr ?? (config.weights ? FINE_TUNING_RATE : RATE)
  const { epochs, batch: batchSize, momentum, weightDecay, clip, augment, freeze, strict, out, seed } = config
  const events = model.fit(data, {
    ...{ epochs, batchSize, validation, augment, freeze, strict, out, resume, signal },
    optimizer: sgd({ rate: lr, momentum, weightDecay, clip }),
    schedule: scheduleNamed(config.schedule, lr),
    seed: resume && flags.seed === undefined ? undefined : seed,
    config: { ...config, lr },
  })

  const report = new Report(ui, epochs, Math.max(1, Math.floor(data.length / Math.min(batchSize, data.length))))
  try {
    for await (const event of events) {
      if (event.type === 'step') report.step(event)
      else if (event.type === 'epoch') report.epoch(event)
      else if (event.type === 'skip') ui.note(`left out ${event.path}: ${event.message}`)
    }
  } finally {
    report.stop()
    if (signal.aborted) ui.note(`stopped after step ${model.steps}; go on with --resume ${out}`)
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
  const { threads, exact, inputSize, width, block, seed, weights } = config
  const common = { device: config.device as Device | undefined, threads, exact }
  if (resume) return GoogLeNet.load(lastCheckpoint(resume), { ...common, signal })
  const options = { ...common, inputSize, width, block, seed, classes: data.classes.length, labels: data.classes }
  return weights ? GoogLeNet.load(weights, { ...options, auxiliary: true, signal }) : GoogLeNet.create(options)
}

function scheduleNamed(name: TrainConfig['schedule'], base: number): Schedule {
  return schedules[name]({ base })
}

/** Keeps the figures of the last epoch and draws the progress of the one that runs. */
class Report {
  #progress: ReturnType<Ui['progress']> | undefined
  #last: EpochEvent | undefined
  #images = 0
  #seconds = 0
  #events = 0

  constructor(
    private readonly ui: Ui,
    private readonly epochs: number,
    private readonly stepsPerEpoch: number,
  ) {}

  step({ step, epoch, loss, images, seconds, waitSeconds, imagesPerSecond }: StepEvent): void {
    this.#progress ??= this.ui.progress(`epoch ${epoch}/${this.epochs}`, this.stepsPerEpoch)
    const waiting = waitSeconds > 0.05 * seconds ? `, ${percent(waitSeconds / seconds)} waiting for data` : ''
    const done = ((step - 1) % this.stepsPerEpoch) + 1
    this.#progress.update(done, `loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(1)} images/s${waiting}`)
    // The first step makes the plan; it does not belong to the speed.
    if (this.#events++ === 0) return
    this.#images += images
    this.#seconds += seconds
  }

  epoch(event: EpochEvent): void {
    this.stop()
    this.#last = event
    const { epoch, loss, top1, rate, validation, imagesPerSecond, skipped } = event
    const held = validation && `; validation top-1 ${percent(validation.top1)}, top-5 ${percent(validation.top5)}`
    this.ui.note(
      `epoch ${epoch}/${this.epochs}: loss ${loss.toFixed(4)}, top-1 ${percent(top1)}${held ?? ''}; ` +
        `rate ${rate.toPrecision(3)}, ${imagesPerSecond.toFixed(1)} images/s${skipped > 0 ? `, ${skipped} skipped` : ''}`,
    )
  }

  stop(): void {
    this.#progress?.stop()
    this.#progress = undefined
  }

  result(out: string, steps: number): void {
    const { epoch = this.epochs, loss = null, validation } = this.#last ?? {}
    const { top1 = null, top5 = null } = validation ?? {}
    const trainImagesPerSecond = this.#seconds > 0 ? this.#images / this.#seconds : null
    const text = top1 === null ? '' : `, validation top-1 ${percent(top1)}`
    this.ui.result(
      { epochs: epoch, loss, top1, top5, trainImagesPerSecond, steps, out },
      `${epoch} epochs, ${steps} steps${text}; ${out}/best/model.safetensors`,
    )
  }
}
