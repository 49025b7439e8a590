/** onnxruntime-node, from bench/.peers/node_modules. */
import { createRequire } from 'node:module'
import { images, prepared, serve, threads } from './serve.mjs'

const require = createRequire(new URL('../.peers/', import.meta.url))
const { InferenceSession, Tensor } = require('onnxruntime-node')
const session = await InferenceSession.create(prepared('network.onnx'), {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
})
let feeds

await serve({
  async prepare(_work, batch) {
    feeds = { data: new Tensor('float32', images('images.f32', batch), [batch, 3, 224, 224]) }
    return (await session.run(feeds)).prob.data
  },
  run: () => session.run(feeds),
})
