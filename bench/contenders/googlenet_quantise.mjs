/** Makes our int8 model: the scales of its activations, from the calibration photos, beside the weights in one file. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GoogLeNet } from '../../dist/index.js'
import { prepared } from './serve.mjs'

const model = await GoogLeNet.load(prepared('weights.safetensors'))
await model.calibrate(JSON.parse(readFileSync(prepared('calibration.json'), 'utf8')))
await model.save(join(process.env.BENCH_MADE, 'model.safetensors'))
await model.dispose()
