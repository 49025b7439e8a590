/**
 * What int8 costs in accuracy: the pretrained network on the 500 reference photos, in f32 and in int8 with each way of
 * choosing ranges, with the biases corrected for the rounding of the weights and without. Calibrated on other photos.
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
  ...[99.9, 99.99, 99.999].map((percentile) => ({ method: 'percentile', percentile })),
  { method: 'entropy' },
]
const photos = await ImageFolder.labelled(files.photos, files.synsets)
const flowers = await ImageFolder.open(files.flowers)
const rows = []

async function measure(model, description) {
  const { images, top1, top5, loss } = await model.evaluate(photos, { resize: 'none' })
  const row = { ...description, top1: Math.round(top1 * images), top5: Math.round(top5 * images), loss }
  rows.push(row)
  const name = Object.values(description).join(', ')
  if (!options.json) console.log(`${name.padEnd(40)} top-1 ${row.top1}, top-5 ${row.top5}, loss ${loss.toFixed(4)}`)
}

/** Means of 0 leave the biases as they are. */
async function withoutMeans(from, to) {
  const { tensors, metadata } = await readSafetensors(from)
  for (const [name, { data }] of tensors) if (/^calibration\/.*\.mean$/.test(name)) data.fill(0)
  await writeSafetensors(to, tensors, metadata)
}

const folder = await mkdtemp(join(tmpdir(), 'googlenet-int8-'))
try {
  const [corrected, plain] = [join(folder, 'corrected.safetensors'), join(folder, 'plain.safetensors')]
  const load = (path, precision) => GoogLeNet.load(path, { device: 'cpu', precision, threads, auxiliary: false })
  const f32 = await load(files.weights, 'f32')
  await measure(f32, { precision: 'f32' })
  for (const choice of CHOICES) {
    await f32.calibrate(flowers, { ...choice, limit: Number(options.images) })
    await f32.save(corrected)
    await withoutMeans(corrected, plain)
    for (const [path, biases] of [
      [corrected, 'biases corrected'],
      [plain, 'biases as they are'],
    ]) {
      const int8 = await load(path, 'int8')
      await measure(int8, { precision: 'int8', ...choice, biases })
      await int8.dispose()
    }
  }
  await f32.dispose()
} finally {
  await rm(folder, { recursive: true, force: true })
}
if (options.json) console.log(JSON.stringify({ calibratedOn: Number(options.images), rows }))
