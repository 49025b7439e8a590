/**
 * `npm run bench`: our engine and its peers side by side in one run, in turns, on the same inputs and weights, each
 * checked before it is timed. See README.md for options and for how to read the table.
 */
import { loadavg } from 'node:os'
import { native } from '../dist/native.js'
import { accuracy } from './lib/accuracy.mjs'
import { prepareCalibration } from './lib/calibration.mjs'
import { install } from './lib/install.mjs'
import { machine } from './lib/machine.mjs'
import { measure, start, stop } from './lib/measure.mjs'
import { readOptions } from './lib/options.mjs'
import { preparePhotos } from './lib/photos.mjs'
import { prepare } from './lib/prepare.mjs'
import { quantise } from './lib/quantise.mjs'
import { printAccuracy, printHeader, printRow, printTable } from './lib/report.mjs'

const options = readOptions(process.argv.slice(2))
if (options.install) process.exit(install({ all: options.all }) ? 0 : 1)

const { threads, json } = options
const progress = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`)
const { weights, expected, centred } = await prepare()
const known = await prepareCalibration()

/** A session of the smallest network: what it runs on, or the error. */
async function probe(precision) {
  const layers = [{ op: 'input', name: 'data', channels: 1, height: 1, width: 1 }]
  try {
    const session = new (native().Session)({ layers, threads, precision })
    await session.initialize(1) // opens the device, which is what refuses
    await session.dispose()
    return session
  } catch (error) {
    return { error }
  }
}

/** Why a precision is left out, if it is. */
async function obstacle(precision) {
  if (precision === 'int8' && !known) return 'int8 needs the photos of the reference data to calibrate on'
  const { error } = await probe(precision)
  return error?.code === 'GOOGLENET_ERR_UNSUPPORTED' ? error.message : undefined
}

const report = {
  machine: { ...machine(), isa: (await probe('f32')).isa, threads },
  weights,
  rows: [],
  leftOut: [],
}
if (!json) printHeader(report)
const say = (text) => json || console.log(text)
if (options.accuracy && !known) {
  console.error('--accuracy needs the photos of the reference data: set GOOGLENET_DATA to its folder')
  process.exit(1)
}

for (const precision of new Set(options.runs.map((run) => run.precision))) {
  const reason = await obstacle(precision)
  if (!reason) continue
  report.leftOut.push({ precision, reason })
  say(`\n${precision} is left out: ${reason}`)
}
const left = new Set(report.leftOut.map(({ precision }) => precision))
const runs = options.runs.filter(({ precision }) => !left.has(precision))
const fields = { f32: options.field, bf16: options.field }
if (runs.some(({ precision }) => precision === 'int8')) fields.int8 = quantise(options.field, threads, progress)

/** The rows of one kind of work in one precision. */
async function rowsOf({ work, precision, batches }) {
  if (work !== 'decoding') return batches.map((batch) => ({ work, precision, batch }))
  const folders = await preparePhotos()
  if (folders.length === 0) console.error('decoding is left out: its photos are those of the reference data')
  return folders.flatMap((folder) => batches.map((batch) => ({ work, precision, batch, ...folder })))
}

for (const run of runs) {
  const { work, precision, seconds } = run
  const entries = start(fields[precision], work, work === 'decoding' ? 1 : threads, precision)
  if (options.accuracy) {
    const row = await accuracy(entries, precision, known.labels, progress)
    progress('')
    report.rows.push(row)
    if (!json) printAccuracy(row)
    await stop(entries)
    continue
  }
  const settings = { threads, rounds: options.rounds, seconds, expected, centred, progress, patient: options.patient }
  for (const described of await rowsOf(run)) {
    const row = await measure(entries, described, settings)
    progress('')
    report.rows.push(row)
    if (!json) printRow(row)
  }
  await stop(entries)
}
report.machine.loadAtEnd = loadavg()[0]
if (json) console.log(JSON.stringify(report))
else {
  if (!options.accuracy) printTable(report.rows)
  console.log(`\nload ${report.machine.loadAtEnd.toFixed(2)} at the end`)
}
