/**
 * Our Loader as fit() uses it: files to batches of (3, 224, 224) floats minus mean, with the paper's random boxes and
 * mirrors but without its colours, which the peers do not change either. BENCH_THREADS is the number of decoding threads.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Loader, policies } from '../../dist/index.js'
import { prepared, serve, threads } from './serve.mjs'

/** An epoch's pipeline is made anew, so one epoch is as long as a turn. */
const REPEATS = 200

let loader
let size

await serve({
  async prepare(_work, batch, _precision, photos) {
    const folder = prepared(photos)
    const files = readdirSync(folder).map((name) => ({ path: join(folder, name), label: 0 }))
    const samples = Array.from({ length: REPEATS }, () => files).flat()
    const order = () => Uint32Array.from(samples, (_, i) => (i * 7919) % samples.length)
    const policy = policies.inception({ size: 224, colour: false })
    await loader?.dispose()
    loader = new Loader({ samples, order }, { batchSize: batch, policy, threads, dropLast: true })
    size = batch
  },
  /** From nothing: batches that were decoded ahead of a turn would count as time of nobody. */
  async slice(seconds) {
    const start = performance.now()
    const batches = loader.epoch(0)
    let count = 0
    for await (const batch of batches) {
      count += batch.count
      batch.release()
      if (performance.now() - start > seconds * 1000) break
    }
    return { milliseconds: [((performance.now() - start) * size) / count] }
  },
})
