/**
 * Our engine, as users call it: features() of the public class for inference, step() for training, which is told the
 * next batch, as fit() does it: a GPU gets it while it computes. Here every batch is the same one, copied each time. On
 * the processor, or on BENCH_DEVICE, there with BENCH_TUNE and on BENCH_STREAMS streams. With the argument THROUGHPUT a
 * stream for each thread, and a batch on each at once. int8 is the file of googlenet_quantise.mjs.
 */
import { GoogLeNet } from '../../dist/index.js'
import { images, inputs, labels, prepared, serve, threads } from './serve.mjs'

const { BENCH_DEVICE: device = 'cpu', BENCH_TUNE, BENCH_STREAMS = '1' } = process.env
const throughput = process.argv[2] === 'THROUGHPUT'
const streams = throughput ? threads : Number(BENCH_STREAMS)
let model
let run

async function open(options) {
  await model?.dispose()
  const file = options.precision === 'int8' ? 'int8-googlenet/model.safetensors' : 'weights.safetensors'
  model = await GoogLeNet.load(prepared(file), { device, threads, streams, ...options })
}

/** Several batches are in flight: only their mean time is known. */
async function slice(seconds) {
  const start = performance.now()
  const end = start + seconds * 1000
  let batches = 0
  const loop = async () => {
    for (let mine = 0; mine < 2 || performance.now() < end; mine++) {
      await run()
      batches++
    }
  }
  await Promise.all(Array.from({ length: streams }, loop))
  return { milliseconds: [(performance.now() - start) / batches] }
}

const optimizer = { kind: 'sgd', rate: 0.001, momentum: 0.9, weightDecay: 2e-4, clip: 0 }

function training(batch) {
  const data = { images: images('centred.f32', batch), labels: labels(batch) }
  return () => model.step(data, { optimizer, next: data })
}

const contender = {
  async prepare(work, batch, precision) {
    await open({ precision, tune: BENCH_TUNE === '1' })
    if (work === 'training') {
      run = training(batch)
      return undefined
    }
    const data = inputs(batch, precision)
    run = () => model.features(data, 'prob')
    return (await run()).data
  },
  run: () => run(),
  ...(throughput && { slice }),
  predict: async (data) => (await model.features(data, 'prob')).data,
  async losses(batch, steps, precision) {
    // Not tuned: another batch size has other engines, and those that tuning takes are held against a direct convolution.
    await open({ precision, dropout: { main: 0, auxiliary: 0 } })
    const step = training(batch)
    const losses = []
    while (losses.length < steps) losses.push((await step()).loss)
    return losses
  },
}
await serve(contender)
