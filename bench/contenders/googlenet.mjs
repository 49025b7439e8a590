/**
 * Our engine, as users call it: features() of the public class for inference, step() for training. On the processor, or
 * on BENCH_DEVICE.
 */
import { GoogLeNet } from '../../dist/index.js'
import { images, labels, prepared, serve, threads } from './serve.mjs'

const device = process.env.BENCH_DEVICE ?? 'cpu'
let model
let run

async function open(precision, dropout) {
  await model?.dispose()
  const options = { device, threads, precision, ...(dropout && { dropout }) }
  model = await GoogLeNet.load(prepared('weights.safetensors'), options)
}

const optimizer = { kind: 'sgd', rate: 0.001, momentum: 0.9, weightDecay: 2e-4, clip: 0 }

await serve({
  async prepare(work, batch, precision) {
    await open(precision)
    if (work === 'training') {
      const data = { images: images('centred.f32', batch), labels: labels(batch) }
      run = () => model.step(data, { optimizer })
      return undefined
    }
    const data = images('images.f32', batch)
    run = () => model.features(data, 'prob')
    return (await run()).data
  },
  run: () => run(),
  async losses(batch, steps, precision) {
    await open(precision, { main: 0, auxiliary: 0 })
    const data = { images: images('centred.f32', batch), labels: labels(batch) }
    const losses = []
    for (let step = 0; step < steps; step++) losses.push((await model.step(data, { optimizer })).loss)
    return losses
  },
})
