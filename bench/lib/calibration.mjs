/**
 * Photos for int8 and for `--accuracy`, as every contender reads them: bytes (N,3,224,224), B G R, centre crops.
 * `calibration.u8`: 300 of the flowers, from which int8 takes its scales. `accuracy.u8`: the 500 photos of ImageNet,
 * one a class, none of which anybody calibrates on. Made once from the reference data; without it there are neither
 * int8 rows nor accuracies.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { native } from '../../dist/native.js'
import { dataFile, preparedFolder } from './paths.mjs'

const SIZE = 224
export const CALIBRATION = 300

/** @returns {Promise<{ labels: number[] } | undefined>} the classes of the photos of `accuracy.u8` */
export async function prepareCalibration() {
  const flowers = dataFile('datasets/flowers5_227/train')
  const photos = dataFile('images/imagenet_500')
  const reference = dataFile('images/imagenet_500_reference_top5.tsv')
  if (!flowers || !photos || !reference) return undefined
  const files = readdirSync(flowers)
    .sort()
    .flatMap((name) =>
      readdirSync(join(flowers, name))
        .sort()
        .map((file) => join(flowers, name, file)),
    )
  const every = Math.floor(files.length / CALIBRATION)
  const chosen = Array.from({ length: CALIBRATION }, (_, i) => files[i * every])
  await write('calibration.u8', chosen)
  const rows = readFileSync(reference, 'utf8').trim().split('\n')
  const known = rows.map((row) => row.split('\t')).map(([file, label]) => ({ file, label: Number(label) }))
  await write(
    'accuracy.u8',
    known.map(({ file }) => join(photos, file)),
  )
  return { labels: known.map(({ label }) => label) }
}

async function write(name, files) {
  const path = join(preparedFolder, name)
  if (existsSync(path)) return
  const part = openSync(`${path}.part`, 'w')
  for (const file of files) writeSync(part, await planes(file))
  closeSync(part)
  renameSync(`${path}.part`, path)
}

/** (3,224,224), B G R: the middle of a photo that is at least as large. */
async function planes(path) {
  const { width, height, data } = await native().decodeJpeg(readFileSync(path))
  const left = Math.floor((width - SIZE) / 2)
  const top = Math.floor((height - SIZE) / 2)
  const area = SIZE * SIZE
  const bytes = new Uint8Array(3 * area)
  for (let channel = 0; channel < 3; channel++)
    for (let y = 0; y < SIZE; y++)
      for (let x = 0; x < SIZE; x++)
        bytes[channel * area + y * SIZE + x] = data[((top + y) * width + left + x) * 3 + 2 - channel]
  return bytes
}
