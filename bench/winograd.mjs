/**
 * What Winograd's convolutions gain: two models, one of them `exact`, take turns in one process. The figure is the
 * median of the ratios of neighbouring runs, with the smallest and the largest.
 *   node bench/winograd.mjs [--threads 2] [--rounds 9] [--only inference|training] [--json]
 */
import { parseArgs } from 'node:util'
import { GoogLeNet } from '../dist/index.js'
import { median } from './lib/statistics.mjs'

const text = (value) => ({ type: 'string', default: value })
const { values: options } = parseArgs({
  options: { threads: text('2'), rounds: text('9'), only: text(''), json: { type: 'boolean', default: false } },
})
const threads = Number(options.threads)

/** Seconds one turn should take. */
const TURN = 0.7

async function compare(work, batch) {
  const training = work === 'training'
  const models = []
  for (const exact of [true, false]) models.push(await GoogLeNet.create({ threads, exact, auxiliary: training }))
  const images = new Float32Array(batch * 3 * 224 * 224).map((_, i) => ((i * 2654435761) % 256) - 128)
  const labels = Array.from({ length: batch }, (_, i) => i % 1000)
  const once = (model) => (training ? model.step({ images, labels }, { rate: 1e-4 }) : model.features(images, 'prob'))
  const timed = async (model, times) => {
    const start = performance.now()
    for (let i = 0; i < times; i++) await once(model)
    return (performance.now() - start) / times
  }
  for (const model of models) await timed(model, 2)
  const times = Math.max(1, Math.round((1000 * TURN) / (await timed(models[0], 1))))
  const turns = []
  for (let round = 0; round < Number(options.rounds); round++)
    turns.push([await timed(models[0], times), await timed(models[1], times)])
  for (const model of models) await model.dispose()
  const ratios = turns.map(([exact, winograd]) => exact / winograd)
  const speed = (at) => (1000 * batch) / median(turns.map((turn) => turn[at]))
  return {
    ...{ work, batch, exact: speed(0), winograd: speed(1) },
    ...{ ratio: median(ratios), from: Math.min(...ratios), to: Math.max(...ratios) },
  }
}

const rows = []
for (const [work, batch] of [
  ['inference', 1],
  ['inference', 8],
  ['inference', 32],
  ['training', 32],
]) {
  if (options.only && options.only !== work) continue
  const row = await compare(work, batch)
  rows.push(row)
  const { exact, winograd, ratio, from, to } = row
  if (!options.json)
    console.log(
      `${work}, batch ${batch}: exact ${exact.toFixed(1)}, Winograd ${winograd.toFixed(1)} images/s, ` +
        `ratio ${ratio.toFixed(2)} (${from.toFixed(2)}-${to.toFixed(2)})`,
    )
}
if (options.json) console.log(JSON.stringify({ threads, rows }))
