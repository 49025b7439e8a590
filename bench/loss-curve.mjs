/**
 * Whether Winograd's rounding shows in training: the losses of the same run by direct convolutions alone (`exact`) and
 * with Winograd, on the flowers. A rounding grows in training whoever made it, so a third run is the measure: direct
 * convolutions again, one of whose weights begins one bit off.
 *   node bench/loss-curve.mjs                       fine-tunes the BVLC weights
 *   node bench/loss-curve.mjs --fresh [--rate 0.01] from fresh weights, where the smallest difference grows fastest
 *   [--steps 100] [--batch 32] [--rate 0.001] [--threads 2] [--json]
 */
import { parseArgs } from 'node:util'
import { GoogLeNet, ImageFolder, schedules, sgd } from '../dist/index.js'
import { dataFile } from './lib/paths.mjs'

const text = (value) => ({ type: 'string', default: value })
const flag = { type: 'boolean', default: false }
const { values: options } = parseArgs({
  options: { steps: text('100'), batch: text('32'), rate: text('0.001'), threads: text('2'), fresh: flag, json: flag },
})
const [steps, batchSize, rate, threads] = ['steps', 'batch', 'rate', 'threads'].map((name) => Number(options[name]))

const folder = dataFile('datasets/flowers5_227/train')
const weights = dataFile('weights/bvlc_googlenet.safetensors')
if (!folder || (!weights && !options.fresh)) {
  console.error('bench: flowers and weights are part of the reference data, which is not here (GOOGLENET_DATA)')
  process.exit(3)
}
const data = await ImageFolder.open(folder)

/** The last bit of one weight of the first convolution. */
async function nudge(model) {
  const name = 'conv1/7x7_s2.weight'
  const tensors = await model.parameters('weights', [name])
  const { data: values } = tensors.get(name)
  new Int32Array(values.buffer, values.byteOffset, 1)[0] ^= 1
  await model.setParameters('weights', tensors)
}

async function run({ exact, nudged = false }) {
  const network = { classes: data.classes.length, device: 'cpu', threads, exact, seed: 1 }
  const model = options.fresh ? await GoogLeNet.create(network) : await GoogLeNet.load(weights, network)
  if (nudged) await nudge(model)
  const losses = []
  let seconds = 0
  let waitSeconds = 0
  const settings = {
    batchSize,
    augment: 'caffe',
    optimizer: sgd({ rate }),
    schedule: schedules.constant({ base: rate }),
  }
  for await (const event of model.fit(data, {
    ...settings,
    epochs: Math.ceil((steps * batchSize) / data.length) + 1,
  })) {
    if (event.type !== 'step') continue
    if (event.steps !== 1) throw new Error('this reader was too slow for a step each')
    losses.push(event.loss)
    seconds += event.seconds
    waitSeconds += event.waitSeconds
    if (losses.length === steps) break
  }
  await model.dispose()
  return { losses, waiting: waitSeconds / seconds }
}

const exact = await run({ exact: true })

/** How far a run's losses are from those of direct convolutions. */
async function against(setting) {
  const { losses, waiting } = await run(setting)
  const differences = losses.map((loss, i) => Math.abs(loss - exact.losses[i]))
  const largest = Math.max(...differences)
  return { largest, step: differences.indexOf(largest) + 1, first: differences[0], waiting, losses }
}

const winograd = await against({ exact: false })
const nudged = await against({ exact: true, nudged: true })
const start = options.fresh ? 'fresh weights' : 'the BVLC weights'
if (options.json) {
  console.log(JSON.stringify({ start, steps, batchSize, rate, threads, exact, winograd, nudged }))
} else {
  console.log(
    `${steps} steps of ${batchSize} from ${start}, rate ${rate}: ` +
      `the loss went from ${exact.losses[0].toFixed(3)} to ${exact.losses.at(-1).toFixed(3)}`,
  )
  const figure = (value) => value.toExponential(1)
  for (const [name, { largest, step, first }] of Object.entries({
    'with Winograd': winograd,
    'direct, one weight one bit off': nudged,
  }))
    console.log(
      `${name}: losses differ by at most ${figure(largest)}, at step ${step}; at the first by ${figure(first)}`,
    )
  const percent = (share) => `${(100 * share).toFixed(2)} %`
  console.log(`waiting for data: ${percent(exact.waiting)} of the time, with Winograd ${percent(winograd.waiting)}`)
}
