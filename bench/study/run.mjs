/**
 * `npm run study`: what asynchronous SGD and weight averaging buy and cost. Trains the same network from the same start
 * on the same images with 1, 2, 4 and 8 workers, asynchronous under several policies and in step, and writes
 * docs/async-sgd/results.json, from which draw.mjs makes the pictures and the tables.
 *   node bench/study/run.mjs [--fresh] [scratch] [warm] [flowers] [draw]     default: all of them
 *     scratch   emoji from fresh weights, every number of workers and policy
 *     warm      emoji from weights that one worker has trained before (Downpour's warm start), three seeds
 *     flowers   flowers5 from the BVLC weights; GOOGLENET_DATA says where they are, default ../shared/data
 *   Runs that results.json holds already are not repeated, unless --fresh.
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { average, GoogLeNet, policies, schedules, sgd } from '../../dist/index.js'
import { machine } from '../lib/machine.mjs'
import * as data from './data.mjs'
import { draw } from './draw.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'build', 'study')
const results = join(root, 'docs', 'async-sgd', 'results.json')

/** What each row of the study changes in fit(). */
const POLICIES = {
  none: {},
  scale: { staleness: 'scale' },
  boosted: { staleness: 'scale' }, // from W - 1 times the rate, so that the mean rate is that of 'none'
  softsync: { softsync: 1 },
  corrected: { momentumCorrection: true },
  sync: { sync: true },
}
const grid = [
  { workers: 0, policy: 'none' },
  ...[2, 4, 8].flatMap((workers) => ['none', 'scale', 'softsync', 'sync'].map((policy) => ({ workers, policy }))),
  { workers: 4, policy: 'corrected' },
]
/** What the claims rest on. */
const claims = [
  { workers: 0, policy: 'none' },
  { workers: 4, policy: 'none' },
  { workers: 4, policy: 'scale' },
  { workers: 4, policy: 'boosted' },
]
const seeds = [1, 2, 3]

/** The rate that a row's schedule starts from. */
function baseOf(rate, { workers, policy }) {
  return policy === 'boosted' ? rate * (workers - 1) : rate
}

/** One run: curves over images and seconds of training, validation by epoch. */
async function run(create, train, validation, fit, { workers, policy, seed }) {
  const model = await create(seed)
  const team = workers > 0 ? { workers, ...POLICIES[policy] } : {}
  const curve = []
  const epochs = []
  let seconds = 0
  let stretch = { loss: 0, steps: 0 }
  let failure
  const every = Math.max(1, Math.floor((fit.epochs * train.length) / 60))
  try {
    for await (const event of model.fit(train, { ...fit, ...team, validation, seed })) {
      if (event.type === 'step') {
        seconds += event.seconds
        stretch = { loss: stretch.loss + event.loss * event.steps, steps: stretch.steps + event.steps }
        if (event.imagesSeen < (curve.length + 1) * every) continue
        curve.push([event.imagesSeen, Number(seconds.toFixed(2)), Number((stretch.loss / stretch.steps).toFixed(4))])
        stretch = { loss: 0, steps: 0 }
      } else if (event.type === 'epoch') {
        const figures = ({ top1, loss }) => ({ top1: Number(top1.toFixed(4)), loss: Number(loss.toFixed(4)) })
        epochs.push({
          ...{ epoch: event.epoch, images: event.imagesSeen, seconds: Number(seconds.toFixed(2)), updates: event.step },
          ...{ raw: figures(event.validation), averaged: figures(event.averaged) },
          ...(event.staleness && { staleness: event.staleness }),
          ...(event.storeShare !== undefined && { storeShare: event.storeShare }),
        })
      }
    }
  } catch (error) {
    failure = `${error.code ?? error.name}: ${error.message}` // a run that diverges is a result
  } finally {
    await model.dispose()
  }
  return { workers, policy, seed, curve, epochs, ...(failure && { failure }) }
}

const emojiNetwork = { inputSize: 64, width: 0.25, auxiliary: false, dropout: { main: 0 } }
const emojiAugment = policies.inception({ size: emojiNetwork.inputSize, areaMin: 0.6 })

async function scratchRuns() {
  const { train, validation } = await data.emoji(folder)
  const setup = { ...emojiNetwork, batchSize: 16, epochs: 12, rate: 0.004, momentum: 0.9, weightDecay: 2e-4 }
  const { batchSize, epochs, rate, momentum, weightDecay } = setup
  const create = (seed) => GoogLeNet.create({ classes: train.classes.length, ...emojiNetwork, seed })
  const total = epochs * Math.floor(train.length / batchSize) * batchSize
  const fit = {
    ...{ epochs, batchSize, optimizer: sgd({ rate, momentum, weightDecay }), average: average.ema({ decay: 0.99 }) },
    schedule: schedules.warmup(schedules.paper({ base: rate }), { images: Math.round(0.05 * total) }),
    augment: emojiAugment,
  }
  const rows = grid.map((row) => ({ ...row, seed: 1 }))
  await all('scratch', setup, train, validation, rows, (row) => run(create, train, validation, fit, row))
}

async function warmRuns() {
  const { train, validation } = await data.emoji(folder)
  const setup = { ...emojiNetwork, batchSize: 16, epochs: 5, rate: 0.0005, momentum: 0.9, weightDecay: 2e-4 }
  const { batchSize, epochs, rate, momentum, weightDecay } = setup
  const before = { epochs: 8, rate: 0.004 }
  const fit = {
    ...{ epochs, batchSize, optimizer: sgd({ rate, momentum, weightDecay }), average: average.ema({ decay: 0.99 }) },
    augment: emojiAugment,
  }
  let start
  const create = async (seed) => {
    const model = await GoogLeNet.create({ classes: train.classes.length, ...emojiNetwork, seed })
    if (start?.seed !== seed) {
      const optimizer = sgd({ rate: before.rate, momentum, weightDecay })
      const alone = { batchSize, augment: emojiAugment, optimizer, epochs: before.epochs, seed }
      for await (const _ of model.fit(train, alone));
      start = { seed, weights: await model.parameters('weights') }
      await model.dispose()
      return create(seed)
    }
    await model.setParameters('weights', start.weights)
    return model
  }
  const rows = seeds.flatMap((seed) => claims.map((row) => ({ ...row, seed })))
  await all('warm', { ...setup, before }, train, validation, rows, (row) =>
    run(create, train, validation, { ...fit, schedule: schedules.paper({ base: baseOf(rate, row) }) }, row),
  )
}

async function flowerRuns() {
  const found = await data.flowers(resolve(process.env.GOOGLENET_DATA ?? join(root, '..', 'shared', 'data')))
  if (!found) {
    console.error('flowers5 or the BVLC weights are not there: left out')
    return
  }
  const { train, validation, weights } = found
  const setup = { inputSize: 224, width: 1, batchSize: 16, epochs: 3, rate: 0.0006, momentum: 0.9, weightDecay: 2e-4 }
  const { batchSize, epochs, rate, momentum, weightDecay } = setup
  const total = epochs * Math.floor(train.length / batchSize) * batchSize
  const schedule = (row) =>
    schedules.warmup(schedules.cosine({ base: baseOf(rate, row) }), { images: Math.round(0.05 * total) })
  const create = (seed) => GoogLeNet.load(weights, { classes: train.classes.length, labels: train.classes, seed })
  const fit = {
    ...{ epochs, batchSize, optimizer: sgd({ rate, momentum, weightDecay }), average: average.ema({ decay: 0.95 }) },
    augment: 'caffe',
  }
  const rows = [1, 2].flatMap((seed) => claims.map((row) => ({ ...row, seed })))
  await all('flowers', setup, train, validation, rows, (row) =>
    run(create, train, validation, { ...fit, schedule: schedule(row) }, row),
  )
}

async function all(name, setup, train, validation, rows, one) {
  const sizes = { train: train.length, validation: validation.length, classes: train.classes.length }
  const study = { setup: { ...setup, ...sizes }, machine: machine(), runs: [] }
  const before = fresh ? [] : ((await read())[name]?.runs ?? [])
  for (const row of rows) {
    const same = (run) => Object.entries(row).every(([key, value]) => run[key] === value)
    const result = before.find(same) ?? (await one(row))
    study.runs.push(result)
    const { raw, averaged, seconds } = result.epochs.at(-1) ?? {}
    const figures = raw ? `top-1 ${raw.top1}, averaged ${averaged.top1}, ${seconds} s` : result.failure
    console.error(`${name} ${study.runs.length}/${rows.length}: ${JSON.stringify(row)} ${figures}`)
    await mkdir(join(root, 'docs', 'async-sgd'), { recursive: true })
    await writeFile(results, `${JSON.stringify({ ...(await read()), [name]: study })}\n`)
  }
}

async function read() {
  return existsSync(results) ? JSON.parse(await readFile(results, 'utf8')) : {}
}

const given = process.argv.slice(2)
const fresh = given.includes('--fresh')
const wanted = given.filter((word) => word !== '--fresh')
const does = (part) => wanted.length === 0 || wanted.includes(part)
if (does('scratch')) await scratchRuns()
if (does('warm')) await warmRuns()
if (does('flowers')) await flowerRuns()
if (does('draw')) await draw(results, join(root, 'docs', 'async-sgd'))
