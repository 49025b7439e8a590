/**
 * `googlenet bench`: steady-state speed of this engine on synthetic images: training steps, inference (in int8 with
 * ranges of such images), or each kernel of a training plan.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Argument, type Command } from 'commander'
import { throwIfAborted } from '../lifetime.js'
import { piecesAtOnce } from '../model/images.js'
import { GoogLeNet } from '../model/model.js'
import type { CreateOptions } from '../model/model-options.js'
import { refuseInt8 } from '../precision.js'
import { writeFailure } from '../weights/file.js'
import {
  addComputeOptions,
  type ComputeOptions,
  choice,
  engineOptions,
  number,
  type Runner,
  whole,
} from './arguments.js'
import { table, type Ui } from './ui.js'

interface Options extends ComputeOptions {
  batch: number
  steps: number
  inputSize: number
  width: number
  block: 'reduced' | 'naive'
}

/** Plans are made and caches filled by the first steps. */
const WARM_UP = 3

export function addBench(program: Command, run: Runner): void {
  const command = program
    .command('bench')
    .description('measure the speed of training, inference or single kernels')
    .addArgument(new Argument('<what>').choices(['train', 'predict', 'layers']))
    .option('--batch <n>', 'images per step', whole(1), 32)
    .option('--steps <n>', 'steps measured', whole(1), 20)
    .option('--input-size <n>', 'height and width of the input', whole(1), 224)
    .option('--width <x>', 'multiplies the channels', number, 1)
    .addOption(choice('--block <kind>', 'Inception module', ['reduced', 'naive']).default('reduced'))
  addComputeOptions(command).action((what: string) => run((ui) => bench(what, command.optsWithGlobals<Options>(), ui)))
}

async function bench(what: string, options: Options, ui: Ui): Promise<void> {
  const { batch, steps, inputSize, width, block } = options
  const { precision } = options
  if (what !== 'predict' && precision === 'int8') refuseInt8(precision, `bench ${what}`)
  const network = { ...engineOptions(options), inputSize, width, block, auxiliary: what !== 'predict' }
  await using model = await (precision === 'int8' ? quantized(network) : GoogLeNet.create(network))
  if (what === 'layers') return await layers(model, batch, ui)

  const images = synthetic(batch, inputSize)
  const labels = Array.from({ length: batch }, (_, i) => i % model.classes)
  const { signal } = ui
  const once = () =>
    what === 'train'
      ? model.step({ images, labels }, { rate: 1e-4, signal })
      : model.features(images, 'prob', { signal })
  const atOnce = what === 'predict' ? piecesAtOnce(model) : 1
  for (let step = 0; step < WARM_UP; step++) await Promise.all(Array.from({ length: atOnce }, once))
  const progress = ui.progress(what, steps)
  const times: number[] = []
  let begun = 0
  const loop = async () => {
    while (begun++ < steps) {
      const start = performance.now()
      await once()
      times.push(performance.now() - start)
      progress.update(times.length, `${times.at(-1)!.toFixed(0)} ms`)
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: atOnce }, loop))
  const total = performance.now() - start
  progress.stop()
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!
  const result = {
    imagesPerSecond: (1000 * batch * steps) / total,
    stepMs: { p50: at(0.5), p95: at(0.95) },
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    device: model.device,
    precision: model.precision,
    threads: model.threads,
    streams: model.streams,
    batch,
  }
  ui.result(
    result,
    `${result.imagesPerSecond.toFixed(1)} images/s, step ${at(0.5).toFixed(1)} ms (p95 ${at(0.95).toFixed(1)}), ` +
      `peak ${result.peakRssMb} MB, batch ${batch}${atOnce > 1 ? `, ${atOnce} at once` : ''}, ${model.threads} threads on ${model.device} in ${model.precision}`,
  )
}

async function quantized(options: CreateOptions & { inputSize: number }): Promise<GoogLeNet> {
  const folder = await mkdtemp(join(tmpdir(), 'googlenet-bench-')).catch((error: unknown) => {
    throw writeFailure(tmpdir(), error)
  })
  const path = join(folder, 'model.safetensors')
  try {
    await using model = await GoogLeNet.create({ ...options, precision: 'f32' })
    await model.calibrate(synthetic(1, options.inputSize))
    await model.save(path)
    return await GoogLeNet.load(path, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function synthetic(count: number, size: number): Float32Array {
  return new Float32Array(count * 3 * size * size).map((_, i) => ((i * 2654435761) % 256) - 128)
}

async function layers(model: GoogLeNet, batch: number, ui: Ui): Promise<void> {
  const kernels = await model.profile(batch, { training: true })
  throwIfAborted(ui.signal)
  const milliseconds = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0)
  const rows = kernels.map(({ name, direction, implementation, macs, milliseconds }) => {
    const rate = macs > 0 ? ((2e-6 * macs) / milliseconds).toFixed(0) : ''
    return [name, direction, implementation, milliseconds.toFixed(3).padStart(9), rate.padStart(8)]
  })
  ui.result(
    { device: model.device, precision: model.precision, threads: model.threads, batch, milliseconds, kernels },
    table([['layer', 'direction', 'implementation', '       ms', ' GFLOP/s'], ...rows]),
  )
}
