/**
 * `npm run bench`: our engine and its peers side by side in one run, in turns, on the same inputs and weights, each
 * checked before it is timed. See README.md for options and for how to read the table.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { native } from '../dist/native.js'
import { contenders } from './contenders/list.mjs'
import { install } from './lib/install.mjs'
import { machine } from './lib/machine.mjs'
import { measure, start, stop } from './lib/measure.mjs'
import { preparePhotos } from './lib/photos.mjs'
import { prepare } from './lib/prepare.mjs'
import { printHeader, printRow } from './lib/report.mjs'

const usage = `node bench/run.mjs [options]
  --install           install the usual peers into bench/.peers (7 GB free), then stop; with --peers all every peer
  --peers LIST        'usual' (default), 'all', 'none', or names separated by commas
  --only WORK         inference, training or decoding (photos to batches, on one thread)
  --batch LIST        batch sizes; default 1,8,32 for inference, 32 for training, 64 for decoding
  --threads N         default 2; decoding has 1
  --rounds N          turns of each contender; default 7
  --seconds N         length of a turn; default 2, 6 for training
  --patient           repeats a turn, up to 5 times, while other processes are busy
  --quick             2 short rounds: does it work, not how fast it is
  --json              one JSON object on stdout`

function fail(message) {
  console.error(`${message}\n\n${usage}`)
  process.exit(2)
}

function readOptions() {
  try {
    const text = { type: 'string' }
    const flag = { type: 'boolean', default: false }
    const options = { peers: { ...text, default: 'usual' }, only: text, batch: text, rounds: text, seconds: text }
    Object.assign(options, {
      threads: { ...text, default: '2' },
      install: flag,
      quick: flag,
      patient: flag,
      json: flag,
      help: flag,
    })
    return parseArgs({ options }).values
  } catch (error) {
    return fail(error.message)
  }
}

function positive(name, text, fallback) {
  if (text === undefined) return fallback
  const value = Number(text)
  return value > 0 ? value : fail(`--${name}: expected a positive number, got '${text}'`)
}

function choosePeers(text) {
  const rivals = contenders.filter(({ ours }) => !ours)
  if (text === 'all') return rivals
  if (text === 'usual') return rivals.filter(({ usual }) => usual)
  if (text === 'none') return []
  return text.split(',').map((name) => {
    const known = rivals.map((rival) => rival.name).join(', ')
    return rivals.find((rival) => rival.name === name) ?? fail(`--peers: no peer '${name}'; there are: ${known}`)
  })
}

const PRECISION = process.env.PRECISION ?? 'f32'
const options = readOptions()
if (options.help) {
  console.log(usage)
  process.exit(0)
}
if (options.install) process.exit(install({ all: options.peers === 'all' }) ? 0 : 1)

const batches = { inference: [1, 8, 32], training: [32], decoding: [64] }
const works = options.only ? [options.only] : Object.keys(batches)
if (works.some((work) => !(work in batches))) fail(`--only: one of ${Object.keys(batches).join(', ')}`)
const field = [...contenders.filter(({ ours }) => ours), ...choosePeers(options.peers)]
const threads = positive('threads', options.threads)
const rounds = positive('rounds', options.rounds, options.quick ? 2 : 7)
const defaults = options.quick
  ? { inference: 0.3, training: 0.5, decoding: 0.3 }
  : { inference: 2, training: 6, decoding: 2 }
const interactive = process.stderr.isTTY
const progress = (text) => interactive && process.stderr.write(`\r\x1b[K${text}`)

const { weights, expected, centred } = await prepare()
const probe = new (native().Session)({
  layers: [{ op: 'input', name: 'data', channels: 1, height: 1, width: 1 }],
  threads,
})
const report = { machine: { ...machine(), isa: probe.isa, threads }, weights, rows: [] }
await probe.dispose()
if (!options.json) printHeader(report)

/** The rows of one kind of work. */
async function rowsOf(work) {
  const sizes = options.batch ? options.batch.split(',').map(Number) : batches[work]
  if (work !== 'decoding') return sizes.map((batch) => ({ work, precision: PRECISION, batch }))
  const folders = await preparePhotos()
  if (folders.length === 0) console.error('decoding is left out: its photos are those of the reference data')
  return folders.flatMap((folder) => sizes.map((batch) => ({ work, precision: 'f32', batch, ...folder })))
}

for (const work of works) {
  const threadsOf = work === 'decoding' ? 1 : threads
  const entries = start(field, work, threadsOf, PRECISION)
  const seconds = positive('seconds', options.seconds, defaults[work])
  const settings = { threads: threadsOf, rounds, seconds, expected, centred, progress, patient: options.patient }
  for (const described of await rowsOf(work)) {
    const row = await measure(entries, described, settings)
    progress('')
    report.rows.push(row)
    if (!options.json) printRow(row)
  }
  await stop(entries)
}
report.machine.loadAtEnd = loadavg()[0]
if (options.json) console.log(JSON.stringify(report))
else console.log(`\nload ${report.machine.loadAtEnd.toFixed(2)} at the end`)
