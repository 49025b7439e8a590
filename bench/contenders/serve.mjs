/**
 * The answering side of a contender that runs in Node. One JSON request a line on stdin, one JSON reply a line on
 * stdout; serve.py speaks the same. A contender is an object with
 *   prepare(work, batch, precision)  -> probabilities of the whole batch (inference), nothing (training)
 *   run()                            -> one batch or one training step, awaited
 *   predict(images)                  -> probabilities of other images, as many as were prepared for (--accuracy)
 *   slice(seconds)                   -> { milliseconds: one number a batch }, instead of run()
 *   losses(batch, steps, precision)  -> the losses of some training steps without dropout (check)
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { images as repeated } from '../lib/images.mjs'

export const threads = Number(process.env.BENCH_THREADS)
const folder = process.env.BENCH_PREPARED

/** One of the prepared files. */
export function prepared(name) {
  return join(folder, name)
}

/** A prepared file's two images, repeated to fill a batch: (N,3,H,W). */
export function images(name, batch) {
  return repeated(prepared(name), batch)
}

/** What inference is timed on: the images as Caffe got them; in int8, whose scales are of photos minus mean, so. */
export function inputs(batch, precision) {
  return images(precision === 'int8' ? 'centred.f32' : 'images.f32', batch)
}

/** Of a prepared file of bytes, B G R: (N,3,224,224), minus Caffe's mean. */
export function photos(name, first, count) {
  const size = 3 * 224 * 224
  const bytes = Buffer.alloc(count * size)
  const file = openSync(prepared(name))
  readSync(file, bytes, 0, bytes.length, first * size)
  closeSync(file)
  const mean = [104, 117, 123]
  return Float32Array.from(bytes, (value, i) => value - mean[Math.floor(i / (224 * 224)) % 3])
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

const encoded = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString('base64')

async function answer(contender, request) {
  switch (request.do) {
    case 'prepare': {
      const output = await contender.prepare(request.work, request.batch, request.precision, request.photos)
      return { output: output && encoded(output) }
    }
    case 'predict':
      return { output: encoded(await contender.predict(photos('accuracy.u8', request.first, request.count))) }
    case 'slice':
      return contender.slice ? contender.slice(request.seconds) : slice(contender, request.seconds)
    case 'losses':
      return { losses: await contender.losses(request.batch, request.steps, request.precision) }
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
