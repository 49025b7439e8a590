/**
 * Whether Winograd's rounding shows in training: the same run twice, by direct convolutions alone (`exact`) and with
 * Winograd, on the flowers from fresh weights; the largest difference of the losses, and the share of the time spent
 * waiting for data.
 *   node bench/loss-curve.mjs [--steps 100] [--batch 32] [--rate 0.01] [--threads 2] [--json]
 */
import { parseArgs } from 'node:util'
import { GoogLeNet, ImageFolder, schedules, sgd } from '../dist/index.js'
import { dataFile } from './lib/paths.mjs'

const text = (value) => ({ type: 'string', default: value })
const { values: options } = parseArgs({
  options: {
    ...{ steps: text('100'), batch: text('32'), rate: text('0.01'), threads: text('2') },
    json: { type: 'boolean', default: false },
  },
})
const [steps, batchSize, rate, threads] = ['steps', 'batch', 'rate', 'threads'].map((name) => Number(options[name]))

const folder = dataFile('datasets/flowers5_227/train')
if (!folder) {
  console.error('bench: the flowers are part of the reference data, which is not here (GOOGLENET_DATA)')
  process.exit(3)
}
const data = await ImageFolder.open(folder)

async function run(exact) {
  const model = await GoogLeNet.create({ classes: data.classes.length, threads, exact, seed: 1 })
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

const exact = await run(true)
const winograd = await run(false)
const differences = exact.losses.map((loss, i) => Math.abs(loss - winograd.losses[i]))
const largest = Math.max(...differences)
const result = {
  ...{ steps, batchSize, rate, threads, largest, relative: largest / exact.losses[differences.indexOf(largest)] },
  ...{ last: { exact: exact.losses.at(-1), winograd: winograd.losses.at(-1) } },
  waiting: { exact: exact.waiting, winograd: winograd.waiting },
}
if (options.json) {
  console.log(JSON.stringify({ ...result, losses: { exact: exact.losses, winograd: winograd.losses } }))
} else {
  const figure = (value) => value.toExponential(1)
  console.log(
    `${steps} steps of ${batchSize}: the loss went from ${exact.losses[0].toFixed(3)} to ${result.last.exact.toFixed(3)}; ` +
      `Winograd's differs by at most ${figure(largest)} (relative ${figure(result.relative)}), ` +
      `at step ${differences.indexOf(largest) + 1}`,
  )
  const percent = (share) => `${(100 * share).toFixed(2)} %`
  console.log(`waiting for data: ${percent(exact.waiting)} of the time, with Winograd ${percent(winograd.waiting)}`)
}
