/** Makes our int8 model: the scales of its activations, from the calibration photos, beside the weights in one file. */
import { join } from 'node:path'
import { GoogLeNet } from '../../dist/index.js'
import { CALIBRATION } from '../lib/calibration.mjs'
import { photos, prepared } from './serve.mjs'

const model = await GoogLeNet.load(prepared('weights.safetensors'))
await model.calibrate(photos('calibration.u8', 0, CALIBRATION))
await model.save(join(process.env.BENCH_MADE, 'model.safetensors'))
await model.dispose()
