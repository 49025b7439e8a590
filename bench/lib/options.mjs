/** What `npm run bench` was asked for, checked; wrong use ends the process with exit code 2. */
import { parseArgs } from 'node:util'
import { contenders } from '../contenders/list.mjs'

const usage = `node bench/run.mjs [options]
  --install           install the usual peers into bench/.peers (7 GB free), then stop; with --peers all every peer
  --peers LIST        'usual' (default), 'all', 'none', or names separated by commas
  --only WORK         inference, training or decoding (photos to batches, on one thread)
  --precision LIST    of f32, bf16, int8 (inference only); default all that this processor can
  --batch LIST        batch sizes; default 1,8,32 for inference, 32 for training, 64 for decoding
  --accuracy          instead of speeds: how many of 500 photos each names rightly, in these precisions
  --threads N         default 2; decoding has 1
  --rounds N          turns of each contender; default 7
  --seconds N         length of a turn; default 2, 6 for training
  --patient           repeats a turn, up to 5 times, while other processes are busy
  --quick             2 short rounds: does it work, not how fast it is
  --json              one JSON object on stdout`

const BATCHES = { inference: [1, 8, 32], training: [32], decoding: [64] }
const SECONDS = { inference: 2, training: 6, decoding: 2 }
const QUICK_SECONDS = { inference: 0.3, training: 0.5, decoding: 0.3 }
const PRECISIONS = ['f32', 'bf16', 'int8']
/** What any contender can do in any precision. */
const DONE = { inference: PRECISIONS, training: ['f32', 'bf16'], decoding: ['f32'] }

function fail(message) {
  console.error(`${message}\n\n${usage}`)
  process.exit(2)
}

function parse(args) {
  const text = { type: 'string' }
  const flag = { type: 'boolean', default: false }
  const options = { only: text, precision: text, batch: text, rounds: text, seconds: text }
  Object.assign(options, { peers: { ...text, default: 'usual' }, threads: { ...text, default: '2' } })
  Object.assign(options, { install: flag, accuracy: flag, quick: flag, patient: flag, json: flag, help: flag })
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    return fail(error.message)
  }
}

function positive(name, text, whole) {
  const value = Number(text)
  if (value > 0 && (!whole || Number.isInteger(value))) return value
  return fail(`--${name}: expected a positive ${whole ? 'whole ' : ''}number, got '${text}'`)
}

function chosen(name, text, known) {
  const list = text === undefined ? known : text.split(',')
  for (const entry of list) if (!known.includes(entry)) fail(`--${name}: expected ${known.join(', ')}; got '${entry}'`)
  return list
}

function choosePeers(text) {
  const rivals = contenders.filter(({ ours }) => !ours)
  if (text === 'all') return rivals
  if (text === 'usual') return rivals.filter(({ usual }) => usual)
  if (text === 'none') return []
  const names = rivals.map(({ name }) => name)
  return chosen('peers', text, names).map((name) => rivals[names.indexOf(name)])
}

/**
 * @returns {{ install: boolean, all: boolean, accuracy: boolean, json: boolean, patient: boolean, field: object[],
 *   threads: number, rounds: number, runs: { work: string, precision: string, batches: number[], seconds: number }[] }}
 *   runs: one for each work and precision, in the order of the table
 */
export function readOptions(args) {
  const given = parse(args)
  if (given.help) {
    console.log(usage)
    process.exit(0)
  }
  const { accuracy, install, quick, patient, json } = given
  const works = accuracy
    ? ['inference']
    : given.only
      ? chosen('only', given.only, Object.keys(DONE))
      : Object.keys(DONE)
  const precisions = chosen('precision', given.precision, PRECISIONS)
  const batches = given.batch?.split(',').map((size) => positive('batch', size, true))
  const seconds = given.seconds && positive('seconds', given.seconds)
  const runs = works.flatMap((work) =>
    precisions
      .filter((precision) => DONE[work].includes(precision))
      .map((precision) => ({
        work,
        precision,
        batches: batches ?? BATCHES[work],
        seconds: seconds ?? (quick ? QUICK_SECONDS : SECONDS)[work],
      })),
  )
  if (runs.length === 0) fail(`--precision: nothing to do, ${works} is not done in ${precisions}`)
  const threads = positive('threads', given.threads, true)
  return {
    ...{ install, all: given.peers === 'all', accuracy, patient, json, runs, threads },
    field: [...contenders.filter(({ ours }) => ours), ...choosePeers(given.peers)],
    rounds: given.rounds ? positive('rounds', given.rounds, true) : quick ? 2 : 7,
  }
}
