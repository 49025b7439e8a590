/**
 * `npm run bench:gpu`: training and inference on a GPU beside PyTorch, in turns in one run, and the time of every
 * operation beside what the card could do at best. Exit codes: 0 done, 1 ours could not be timed, 2 wrong use, 3 no GPU.
 * On a machine without one the bench's own logic is tested on the simulated device (test/cuda/bench.test.ts), whose
 * every line says so.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { GoogLeNet } from '../dist/index.js'
import { native } from '../dist/native.js'
import { findTorch, gpuContenders } from './contenders/gpu-list.mjs'
import { trainingLosses } from './lib/check.mjs'
import { images } from './lib/images.mjs'
import { machine } from './lib/machine.mjs'
import { measure, start, stop } from './lib/measure.mjs'
import { operations, printOperations } from './lib/operations.mjs'
import { peersFolder, preparedFolder } from './lib/paths.mjs'
import { prepare } from './lib/prepare.mjs'
import { printRow } from './lib/report.mjs'
import { BYTES, CARDS, cardOf } from './lib/roofline.mjs'

const usage = `node bench/gpu.mjs [options]
  --device NAME       default cuda
  --only WORK         inference, training or operations; default all
  --precision LIST    of f32, tf32, bf16; default all
  --batch LIST        batch sizes; default 1,8,128 for inference, 32,128 for training
  --rounds N          turns of each contender; default 7
  --seconds N         length of a turn; default 2
  --peers LIST        default all; none, or names separated by commas
  --tune, --no-tune   ours times cuDNN's engines first, as PyTorch does (cudnn.benchmark); default on, but off with
                      --quick and --simulated
  --streams N         ours runs on so many streams, 1 to 8; default 1
  --quick             2 short rounds: does it work, not how fast it is
  --json              one JSON object on stdout
  --record FILE       writes that object to a file too
  --simulated         on the simulated device, a small network: does the bench work; no figure of it means anything`

const NOTE = 'simulated, not a GPU figure'
const CODES = { unmeasured: 1, misused: 2, noDevice: 3 }
/** What the simulated device can do in seconds. */
const SMALL = { width: 0.125, inputSize: 64 }

function fail(message) {
  console.error(`googlenet bench:gpu: ${message}\n\n${usage}`)
  process.exit(CODES.misused)
}

function readOptions() {
  const text = { type: 'string' }
  const flag = { type: 'boolean', default: false }
  const options = { only: text, precision: text, batch: text, rounds: text, seconds: text, streams: text, record: text }
  Object.assign(options, { device: { ...text, default: 'cuda' }, peers: { ...text, default: 'all' } })
  Object.assign(options, { tune: flag, 'no-tune': flag, quick: flag, json: flag, simulated: flag, help: flag })
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return fail(error.message)
  }
}

function positive(name, text, fallback) {
  if (text === undefined) return fallback
  return Number(text) > 0 ? Number(text) : fail(`--${name}: expected a positive number, got '${text}'`)
}

function chosen(name, text, known) {
  const list = text === undefined ? known : text.split(',')
  for (const entry of list) if (!known.includes(entry)) fail(`--${name}: expected ${known.join(', ')}, got '${entry}'`)
  return list
}

const options = readOptions()
const { simulated, device } = options
const print = simulated ? (text) => console.log(text.replace(/^/gm, `${NOTE} | `)) : (text) => console.log(text)
if (options.help) {
  console.log(usage)
  process.exit(0)
}
const works = chosen('only', options.only, ['inference', 'training', 'operations'])
const precisions = chosen('precision', options.precision, Object.keys(BYTES))
const rivals = gpuContenders.filter(({ ours }) => !ours).map(({ name }) => name)
const peers =
  options.peers === 'none' ? [] : chosen('peers', options.peers === 'all' ? undefined : options.peers, rivals)
const rounds = positive('rounds', options.rounds, options.quick ? 2 : 7)
const seconds = positive('seconds', options.seconds, options.quick ? 0.3 : 2)
if (options.tune && options['no-tune']) fail('--tune: not together with --no-tune')
const tune = options.tune || !(options['no-tune'] || options.quick || simulated)
const streams = Number(options.streams ?? 1)
if (!Number.isInteger(streams) || streams < 1 || streams > 8)
  fail(`--streams: expected a whole number from 1 to 8, got '${options.streams}'`)
const batches = { inference: [1, 8, 128], training: [32, 128], operations: [128] }
const batchesOf = (work) =>
  options.batch ? options.batch.split(',').map((text) => positive('batch', text)) : simulated ? [2] : batches[work]
if (simulated && options.record) fail(`--record: nothing of the simulated device is recorded`)

let description
try {
  description = native().probe(device)
} catch ({ code, message }) {
  const told = `device '${device}' is not available: ${message}`
  if (options.json) console.log(JSON.stringify({ error: { code, message: told } }))
  console.error(`googlenet bench:gpu: ${code}: ${told}`)
  process.exit(CODES.noDevice)
}
// Whichever way the other one is asked for, a simulated figure must not pass for a GPU's.
if (description.includes('simulated device') !== simulated)
  fail(`--simulated is ${simulated ? 'for the simulated device' : 'missing'}: this is ${description}`)

const folder = simulated ? join(peersFolder, 'prepared-simulated') : preparedFolder
const network = simulated ? SMALL : undefined
const { weights, expected } = await prepare({ folder, network, onnx: false })
const threads = machine().cores
const env = {
  BENCH_DEVICE: device,
  BENCH_PREPARED: folder,
  BENCH_TUNE: tune ? '1' : '',
  BENCH_STREAMS: String(streams),
}
const torch = peers.length > 0 ? findTorch() : {}
const field = gpuContenders
  .filter(({ ours, name }) => ours || peers.includes(name))
  .map((contender) => ({ ...contender, env, ...(!contender.ours && torch) }))

/** Our own engine on the processor is what all are held against. */
const processor = { ...gpuContenders[0], env: { ...env, BENCH_DEVICE: 'cpu' } }
async function probabilities() {
  const model = await GoogLeNet.load(join(folder, 'weights.safetensors'), { device: 'cpu' })
  const { data } = await model.features(images(join(folder, 'images.f32'), 2), 'prob')
  await model.dispose()
  return data
}
const settings = {
  ...{ threads, rounds, seconds, progress: () => {} },
  expected: expected ?? (await probabilities()),
  losses: works.includes('training') ? await trainingLosses(processor, threads, 'f32') : undefined,
}

const report = { machine: { ...machine(), gpu: description }, weights, tune, streams, rows: [], operations: [] }
if (simulated) Object.assign(report, { note: NOTE, simulated })
if (!options.json) {
  print(`${description}; ${report.machine.cpu}, ${report.machine.date} UTC`)
  print('every run: a batch from the host to the device, a loss or probabilities back')
  print(
    `ours: ${tune ? 'tuned' : 'not tuned'}, ${streams} ${streams === 1 ? 'stream' : 'streams'}; training names the next batch with each step`,
  )
}
for (const work of works.filter((name) => name !== 'operations')) {
  for (const precision of precisions) {
    const entries = start(field, work, threads, precision)
    for (const batch of batchesOf(work)) {
      const row = await measure(entries, { work, precision, batch }, settings)
      report.rows.push(row)
      if (!options.json) printRow(row, print)
      // What a contender cannot do in one batch it may do in another.
      for (const entry of entries) if (entry.child) entry.problem = undefined
    }
    await stop(entries)
  }
}
if (works.includes('operations')) {
  const card = simulated ? CARDS.H100 : cardOf(description)
  const setting = { device, network, card, tune, repeats: options.quick ? 1 : 5 }
  for (const precision of precisions)
    for (const training of [false, true])
      for (const batch of batchesOf('operations')) {
        const plan = { batch, training, precision }
        const kernels = await operations({ ...plan, ...setting })
        report.operations.push({ ...plan, card: card?.name ?? null, kernels })
        if (!options.json) printOperations(report.operations.at(-1), print)
      }
}
const text = JSON.stringify(report)
if (options.json) console.log(text)
if (options.record) writeFileSync(options.record, `${text}\n`)
const untimed = report.rows.filter(({ ours, precision }) => ours === null && precision === 'f32')
process.exit(untimed.length > 0 ? CODES.unmeasured : 0)
