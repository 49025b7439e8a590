// The native pipeline by itself: order, errors, disposal, the event loop, and memory that is handed over.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { policies } from '../../lib/data/augment.js'
import { type ImageSample, native } from '../../lib/native.js'
import { failure, jpeg, put, temporaryFolder } from './fixtures.js'

const policy = policies.caffe({ size: 32, resize: 40 })
const root = fileURLToPath(new URL('../..', import.meta.url))
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let small: string
let large: string
beforeAll(async () => {
  folder = await temporaryFolder()
  small = await put(folder.path, 'small.jpg', await jpeg(64, 48))
  large = await put(folder.path, 'large.jpg', await jpeg(4000, 3000, 1, { progressive: true }))
})
afterAll(() => folder.remove())

const make = (threads = 2) => new (native().Pipeline)({ policy, seed: 1, threads })
const batch = (path: string, count: number, from = 0): ImageSample[] =>
  Array.from({ length: count }, (_, i) => ({ path, label: i % 3, index: from + i }))

describe('Pipeline', () => {
  test('delivers in the order of submission', async () => {
    const pipeline = make()
    pipeline.push(batch(large, 1), 0)
    for (let i = 1; i < 20; i++) pipeline.push(batch(small, (i % 4) + 1, i * 10), 0)
    const results = await Promise.all(Array.from({ length: 20 }, () => pipeline.next()))
    for (const [i, { indices, count }] of results.entries()) {
      expect(indices[0]).toBe(i * 10)
      expect(count).toBe(i === 0 ? 1 : (i % 4) + 1)
    }
    await pipeline.dispose()
  })

  test('a batch can shrink to nothing', async () => {
    const pipeline = make()
    pipeline.push(batch('/does/not/exist.jpg', 3), 0)
    const { count, images, skipped } = await pipeline.next()
    expect([count, images.length, skipped.length]).toEqual([0, 0, 3])
    expect(skipped[2]).toMatchObject({ path: '/does/not/exist.jpg', index: 2, message: 'the file does not exist' })
    await pipeline.dispose()
  })

  test('a folder is no file', async () => {
    const pipeline = make()
    pipeline.push(batch(folder.path, 1), 0)
    expect((await pipeline.next()).skipped[0]?.message).toContain('cannot be read')
    await pipeline.dispose()
  })

  test('errors of use', async () => {
    const pipeline = make()
    const refused = 'GOOGLENET_ERR_INVALID_ARGUMENT'
    expect((await failure(() => pipeline.next())).code).toBe(refused)
    expect((await failure(() => pipeline.push([], 0))).code).toBe(refused)
    expect((await failure(() => pipeline.push([{ path: 1 } as never], 0))).code).toBe(refused)
    expect((await failure(() => pipeline.push(batch(small, 1), -1))).code).toBe(refused)
    expect((await failure(() => new (native().Pipeline)({ policy: {} as never, seed: 0, threads: 1 }))).code).toBe(
      refused,
    )
    await pipeline.dispose()
    expect((await failure(() => pipeline.push(batch(small, 1), 0))).code).toBe('GOOGLENET_ERR_DISPOSED')
    expect((await failure(() => pipeline.next())).code).toBe('GOOGLENET_ERR_DISPOSED')
  })

  test('dispose while running: prompt, and what waits is rejected', async () => {
    const pipeline = make(1)
    pipeline.push(batch(large, 200), 0)
    const waiting = failure(() => pipeline.next())
    await sleep(50)
    const since = performance.now()
    await Promise.all([pipeline.dispose(), pipeline.dispose()])
    expect(performance.now() - since).toBeLessThan(1000) // the batch would take many seconds
    expect((await waiting).code).toBe('GOOGLENET_ERR_DISPOSED')
    await pipeline.dispose()
  })

  test('the event loop goes on while images are decoded', async () => {
    const pipeline = make(1)
    pipeline.push(batch(large, 6), 0)
    let ticks = 0
    const ticking = setInterval(() => ticks++, 5)
    const since = performance.now()
    await pipeline.next()
    clearInterval(ticking)
    expect(ticks).toBeGreaterThan((performance.now() - since) / 5 / 8)
    await pipeline.dispose()
  })

  test('batches stay valid after dispose, and their memory is used again only when let go', async () => {
    const pipeline = make()
    const kept: Float32Array[] = []
    for (let i = 0; i < 12; i++) {
      pipeline.push(batch(small, 8, 0), 0)
      kept.push((await pipeline.next()).images as Float32Array)
    }
    await pipeline.dispose()
    expect(new Set(kept.map(({ buffer }) => buffer)).size).toBe(12)
    for (const images of kept) expect(Buffer.compare(Buffer.from(images.buffer), Buffer.from(kept[0]!.buffer))).toBe(0)
  })

  test('memory does not grow', async () => {
    const pipeline = new (native().Pipeline)({ policy: policies.none({ size: 224 }), seed: 1, threads: 2 })
    const round = async (count: number) => {
      for (let i = 0; i < count; i++) {
        pipeline.push(batch(small, 16), 0)
        await pipeline.next()
        await sleep(0)
      }
    }
    await round(30)
    const before = process.memoryUsage.rss()
    await round(60)
    const grown = (process.memoryUsage.rss() - before) / 2 ** 20
    await pipeline.dispose()
    expect(grown).toBeLessThan(400) // 60 batches of 9.6 MB are 578 MB
  })
})

describe('ends of processes', () => {
  // The addon is loaded directly: a child or a worker has no TypeScript.
  const script = (body: string) => `
    const addon = require('node-gyp-build')(${JSON.stringify(root)})
    const pipeline = new addon.Pipeline({ policy: ${JSON.stringify(policy)}, seed: 1, threads: 2 })
    const samples = Array.from({ length: 50 }, (_, index) => ({ path: ${JSON.stringify(large)}, label: 0, index }))
    pipeline.push(samples, 0)
    ${body}`
  const exitOf = (body: string) =>
    new Promise<number | string | null>((resolve) => {
      const child = spawn(process.execPath, ['-e', script(body)], { cwd: root, stdio: 'inherit' })
      child.on('exit', (code, signal) => resolve(signal ?? code))
    })

  test('an idle pipeline does not keep the process, pending decoding neither', async () => {
    expect(await exitOf('')).toBe(0)
  })
  test('process.exit while a batch is awaited', async () => {
    expect(await exitOf('pipeline.next(); setTimeout(() => process.exit(3), 30)')).toBe(3)
  })
  test('an uncaught error while a batch is awaited', async () => {
    const handler = "process.on('uncaughtException', () => process.exit(4))"
    const error = "setTimeout(() => { throw new Error('on purpose') }, 30)"
    expect(await exitOf(`pipeline.next(); ${handler}; ${error}`)).toBe(4)
  })
  test('an awaited batch keeps the process', async () => {
    const other = `const other = new addon.Pipeline({ policy: ${JSON.stringify(policy)}, seed: 1, threads: 1 })`
    const next = 'other.next().then(({ count }) => { process.exitCode = count })'
    expect(await exitOf(`${other}; other.push(samples.slice(0, 2), 0); ${next}`)).toBe(2)
  })
  test('worker.terminate() while a batch is awaited', async () => {
    for (let i = 0; i < 3; i++) {
      const ready = "pipeline.next(); require('node:worker_threads').parentPort.postMessage('up')"
      const worker = new Worker(script(ready), { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
    }
  })
})
