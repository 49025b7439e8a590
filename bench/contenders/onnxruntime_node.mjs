/** onnxruntime-node, from bench/.peers/node_modules. */
import { createRequire } from 'node:module'
import { inputs, prepared, serve, threads } from './serve.mjs'

const require = createRequire(new URL('../.peers/', import.meta.url))
const { InferenceSession, Tensor } = require('onnxruntime-node')
const files = { f32: 'network.onnx', int8: 'int8-onnxruntime/model.onnx' }
let session
let feeds

const feed = (data) => ({ data: new Tensor('float32', data, [data.length / (3 * 224 * 224), 3, 224, 224]) })

await serve({
  async prepare(_work, batch, precision) {
    await session?.release()
    session = await InferenceSession.create(prepared(files[precision]), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
    })
    feeds = feed(inputs(batch, precision))
    return (await session.run(feeds)).prob.data
  },
  run: () => session.run(feeds),
  predict: async (images) => (await session.run(feed(images))).prob.data,
})
