/**
 * The answering side of a contender that runs in Node. One JSON request a line on stdin, one JSON reply a line on
 * stdout; serve.py speaks the same. A contender is an object with
 *   prepare(work, batch, precision)  -> probabilities of the whole batch (inference), nothing (training)
 *   run()                            -> one batch or one training step, awaited
 *   slice(seconds)                   -> { milliseconds: one number a batch }, instead of run()
 *   losses(batch, steps)             -> the losses of some training steps without dropout (check)
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const threads = Number(process.env.BENCH_THREADS)
const folder = process.env.BENCH_PREPARED

/** One of the prepared files. */
export function prepared(name) {
  return join(folder, name)
}

/** The two prepared images, repeated to fill a batch: (N,3,224,224). */
export function images(name, batch) {
  const two = new Float32Array(new Uint8Array(readFileSync(prepared(name))).buffer)
  const one = two.length / 2
  const values = new Float32Array(batch * one)
  for (let i = 0; i < batch; i++) values.set(two.subarray((i % 2) * one, ((i % 2) + 1) * one), i * one)
  return values
}

/** The same classes for every contender. */
export function labels(batch) {
  return Int32Array.from({ length: batch }, (_, i) => (i * 37) % 1000)
}

/** Times single runs until the seconds are over, at least two. */
async function slice(contender, seconds) {
  const milliseconds = []
  const end = performance.now() + seconds * 1000
  while (milliseconds.length < 2 || performance.now() < end) {
    const start = performance.now()
    await contender.run()
    milliseconds.push(performance.now() - start)
  }
  return { milliseconds }
}

async function answer(contender, request) {
  switch (request.do) {
    case 'prepare': {
      const output = await contender.prepare(request.work, request.batch, request.precision, request.photos)
      return { output: output && Buffer.from(output.buffer, output.byteOffset, output.byteLength).toString('base64') }
    }
    case 'slice':
      return contender.slice ? contender.slice(request.seconds) : slice(contender, request.seconds)
    case 'losses':
      return { losses: await contender.losses(request.batch, request.steps) }
    default:
      throw new Error(`unknown request '${request.do}'`)
  }
}

export async function serve(contender) {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await answer(contender, JSON.parse(line)).catch((error) => ({ error: error.message }))
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
  // A contender may hold native threads that would keep the process.
  process.exit(0)
}
