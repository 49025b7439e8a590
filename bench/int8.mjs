/**
 * What int8 costs in accuracy: the pretrained network on the 500 reference photos, in f32, in bf16, and in int8 with each
 * way of choosing ranges, with the biases corrected for the rounding of the weights and without. Calibrated on other
 * photos. 500 answers tell little; how far the probabilities are from f32's tells more: the photos with the same first
 * answer, and the mean Kullback-Leibler divergence in nats.
 *   node bench/int8.mjs [--images 300] [--threads 2] [--json]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { GoogLeNet, ImageFolder } from '../dist/index.js'
import { readSafetensors, writeSafetensors } from '../dist/weights/safetensors.js'
import { dataFile } from './lib/paths.mjs'

const text = (value) => ({ type: 'string', default: value })
const { values: options } = parseArgs({
  options: { images: text('300'), threads: text('2'), json: { type: 'boolean', default: false } },
})
const threads = Number(options.threads)
const files = {
  weights: dataFile('weights/bvlc_googlenet.safetensors'),
  synsets: dataFile('weights/synset_words.txt'),
  flowers: dataFile('datasets/flowers5_227/train'),
  photos: dataFile('images/imagenet_500'),
}
if (Object.values(files).includes(undefined)) {
  console.error('bench: weights and photos are part of the reference data, which is not here (GOOGLENET_DATA)')
  process.exit(3)
}

const CHOICES = [
  { method: 'minmax' },
  ...[99.999, 99.99].map((percentile) => ({ method: 'percentile', percentile })),
  { method: 'entropy' },
]
const photos = await ImageFolder.labelled(files.photos, files.synsets)
const flowers = await ImageFolder.open(files.flowers)
const rows = []
let reference

async function measure(model, description) {
  const paths = photos.samples.map(({ path }) => path)
  const { data } = await model.features(paths, 'prob', { resize: 'none' })
  const { classes } = model
  reference ??= data
  const row = { ...description, top1: 0, top5: 0, loss: 0, same: 0, divergence: 0 }
  photos.samples.forEach(({ label }, i) => {
    const [p, q] = [reference, data].map((values) => values.subarray(i * classes, (i + 1) * classes))
    const better = q.reduce((count, value) => count + (value > q[label] ? 1 : 0), 0)
    row.top1 += better < 1 ? 1 : 0
    row.top5 += better < 5 ? 1 : 0
    row.loss -= Math.log(Math.max(q[label], 1e-30)) / photos.length
    row.same += q.indexOf(Math.max(...q)) === p.indexOf(Math.max(...p)) ? 1 : 0
    for (let c = 0; c < classes; c++)
      if (p[c] > 0) row.divergence += (p[c] * Math.log(p[c] / Math.max(q[c], 1e-30))) / photos.length
  })
  rows.push(row)
  const { top1, top5, loss, same, divergence } = row
  if (!options.json)
    console.log(
      `${Object.values(description).join(', ').padEnd(44)} top-1 ${top1}, top-5 ${top5}, loss ${loss.toFixed(4)}, ` +
        `as f32 ${same}, divergence ${divergence.toFixed(5)}`,
    )
}

/** Means of 0 leave the biases as they are. */
async function withoutMeans(from, to) {
  const { tensors, metadata } = await readSafetensors(from)
  for (const [name, { data }] of tensors) if (/^calibration\/.*\.mean$/.test(name)) data.fill(0)
  await writeSafetensors(to, tensors, metadata)
}

async function measured(path, precision, description) {
  const model = await GoogLeNet.load(path, { device: 'cpu', precision, threads, auxiliary: false })
  await measure(model, description)
  return model
}

const folder = await mkdtemp(join(tmpdir(), 'googlenet-int8-'))
try {
  const [corrected, plain] = [join(folder, 'corrected.safetensors'), join(folder, 'plain.safetensors')]
  const f32 = await measured(files.weights, 'f32', { precision: 'f32' })
  await (await measured(files.weights, 'bf16', { precision: 'bf16' })).dispose()
  for (const choice of CHOICES) {
    await f32.calibrate(flowers, { ...choice, limit: Number(options.images) })
    await f32.save(corrected)
    await withoutMeans(corrected, plain)
    for (const [path, biases] of [
      [corrected, 'biases corrected'],
      [plain, 'biases as they are'],
    ])
      await (await measured(path, 'int8', { precision: 'int8', ...choice, biases })).dispose()
  }
  await f32.dispose()
} finally {
  await rm(folder, { recursive: true, force: true })
}
if (options.json) console.log(JSON.stringify({ calibratedOn: Number(options.images), rows }))
