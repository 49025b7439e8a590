/**
 * Workers against the model alone on the same cores: images per second of W workers with one thread each over those
 * of one step at a time on all threads, in turns in one process; and the share of the workers' time that the parameter
 * store takes. `node bench/workers.mjs [--batch 32] [--rounds 5] [--steps 2] [--workers 1,2,4] [--json]`
 */
import { parseArgs } from 'node:util'
import { GoogLeNet, sgd } from '../dist/index.js'

const { values } = parseArgs({
  options: {
    batch: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '2' },
    workers: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})
const [batch, rounds, steps] = [values.batch, values.rounds, values.steps].map(Number)
const size = 224
const images = Float32Array.from({ length: batch * 3 * size * size }, (_, i) => Math.sin(i * 0.37) * 100)
const labels = Int32Array.from({ length: batch }, (_, i) => (i * 37) % 1000)
const optimizer = sgd({ rate: 1e-4 })
const update = { optimizer, rate: 1e-4, frozen: [] }

const model = await GoogLeNet.create()
const counts = values.workers
  ? values.workers.split(',').map(Number)
  : [...new Set([1, model.threads, 2 * model.threads])]

/** Every way to spend the cores: trains on `images`, returns { images, seconds, storeSeconds, busySeconds }. */
async function alone() {
  const start = performance.now()
  for (let i = 0; i < steps; i++) await model.step({ images, labels }, { optimizer })
  return { images: steps * batch, seconds: (performance.now() - start) / 1000 }
}

function team(count) {
  const threads = Math.max(1, Math.floor(model.threads / count))
  const workers = Array.from({ length: count }, () => model.worker({ threads }))
  let step = 0
  let stale = 0
  let pushes = 0
  const run = async () => {
    const start = performance.now()
    let storeSeconds = 0
    await Promise.all(
      workers.map(async (worker) => {
        for (let i = 0; i < steps; i++) {
          const options = { fetch: true, step: step++, local: update, push: update }
          const { storeSeconds: store, pushed } = await worker.compute({ images, labels }, options)
          storeSeconds += store
          stale += pushed.staleness
          pushes++
        }
      }),
    )
    const seconds = (performance.now() - start) / 1000
    return { images: count * steps * batch, seconds, storeSeconds, busySeconds: seconds * count }
  }
  return { run, threads, staleness: () => stale / pushes, dispose: () => Promise.all(workers.map((w) => w.dispose())) }
}

const teams = new Map(counts.map((count) => [count, team(count)]))
const ways = [['alone', alone], ...[...teams].map(([count, { run }]) => [count, run])]
for (const [, run] of ways) await run() // plans, first touches
const speeds = new Map(ways.map(([name]) => [name, []]))
const shares = new Map(counts.map((count) => [count, []]))
for (let round = 0; round < rounds; round++) {
  for (const [name, run] of ways) {
    const { images, seconds, storeSeconds, busySeconds } = await run()
    speeds.get(name).push(images / seconds)
    if (busySeconds) shares.get(name).push(storeSeconds / busySeconds)
  }
}
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1]
const baseline = speeds.get('alone')
const rows = counts.map((count) => {
  const ratios = speeds.get(count).map((speed, round) => speed / baseline[round])
  return {
    workers: count,
    threads: teams.get(count).threads,
    imagesPerSecond: median(speeds.get(count)),
    ratio: median(ratios),
    ratios: [Math.min(...ratios), Math.max(...ratios)],
    storeShare: median(shares.get(count)),
    staleness: teams.get(count).staleness(),
  }
})
for (const { dispose } of teams.values()) await dispose()
const result = { batch, threads: model.threads, alone: median(baseline), rows }
await model.dispose()
if (values.json) {
  console.log(JSON.stringify(result))
} else {
  console.log(`batch ${batch}; the model alone on ${result.threads} threads: ${result.alone.toFixed(2)} images/s`)
  console.log('workers  threads each  images/s  ratio (rounds)       store   staleness')
  for (const row of rows) {
    const [low, high] = row.ratios
    console.log(
      `${String(row.workers).padStart(7)}  ${String(row.threads).padStart(12)}  ${row.imagesPerSecond.toFixed(2).padStart(8)}  ` +
        `${row.ratio.toFixed(3)} (${low.toFixed(2)} … ${high.toFixed(2)})  ${(100 * row.storeShare).toFixed(2).padStart(5)} %  ${row.staleness.toFixed(2)}`,
    )
  }
}
