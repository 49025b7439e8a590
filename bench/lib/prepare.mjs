/**
 * Writes what all contenders read, so that all compute the same: weights (auxiliary heads included), the network
 * table, ONNX and ncnn files made from both, two input images, and Caffe's probabilities for them. Weights and
 * photos are the BVLC ones when the reference data is there; else random ones, and no probabilities.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GoogLeNet } from '../../dist/index.js'
import { googlenet } from '../../dist/model/googlenet.js'
import { native } from '../../dist/native.js'
import { images as repeated } from './images.mjs'
import { writeNcnn } from './ncnn.mjs'
import { writeOnnx } from './onnx.mjs'
import { dataFile, makeFolders, preparedFolder } from './paths.mjs'

const golden = 'golden/opencv_golden'
const SIZE = 224
const CLASSES = 1000
/** About the mean of all channels: centres the photos for training and int8. */
const LEVEL = 110

/**
 * @param {{ folder?: string, network?: object, onnx?: boolean }} [options] where to; another network than the published
 *   one, which has random weights; whether to write the files that only peers on processors read
 * @returns {Promise<{ weights: 'BVLC' | 'random', expected?: Float32Array }>}
 */
export async function prepare({ folder = preparedFolder, network, onnx = true } = {}) {
  makeFolders()
  mkdirSync(folder, { recursive: true })
  const file = (name) => join(folder, name)
  const trained = dataFile('weights/bvlc_googlenet.safetensors')
  const photos = [0, 1].map((index) => dataFile(`${golden}/googlenet_${index}.jpg`))
  const probabilities = dataFile(`${golden}/googlenet_prob.npy`)
  const real = !network && trained && probabilities && photos.every(Boolean)

  const model = real
    ? await GoogLeNet.load(trained, { auxiliary: true, seed: 1 })
    : await GoogLeNet.create({ ...network, seed: 1 })
  await model.save(file('weights.safetensors'))
  const weights = await model.parameters()

  const rows = googlenet({ ...network, auxiliary: true })
  writeFileSync(file('network.json'), JSON.stringify(rows))
  if (onnx) {
    writeOnnx(file('network.onnx'), rows, weights)
    writeNcnn(file('network.param'), file('network.bin'), rows, weights)
  }

  const images = real
    ? (await Promise.all(photos.map(planesBgr))).flatMap((image) => [...image])
    : pattern(network?.inputSize ?? SIZE)
  writeFileSync(file('images.f32'), new Uint8Array(Float32Array.from(images).buffer))
  writeFileSync(file('centred.f32'), new Uint8Array(Float32Array.from(images, (value) => value - LEVEL).buffer))
  const { data: centred } = await model.features(repeated(file('centred.f32'), 2), 'prob')
  await model.dispose()
  if (!real) return { weights: 'random', centred }
  return { weights: 'BVLC', expected: readNpy(readFileSync(probabilities), 2 * CLASSES), centred }
}

/** (3,H,W), B G R, 0..255: what Caffe made the probabilities from. */
async function planesBgr(path) {
  const { width, height, data } = await native().decodeJpeg(readFileSync(path))
  if (width !== SIZE || height !== SIZE) throw new Error(`${path}: ${width}x${height}, expected ${SIZE}x${SIZE}`)
  const area = SIZE * SIZE
  return Float32Array.from({ length: 3 * area }, (_, i) => data[(i % area) * 3 + 2 - Math.floor(i / area)])
}

/** Two images of smooth waves with noise from a small generator, 0..255. */
function pattern(size) {
  let state = 1
  return Float32Array.from({ length: 2 * 3 * size * size }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return 128 + 90 * Math.sin(i / (7 + (i % 3))) + (state / 2 ** 32 - 0.5) * 60
  })
}

/** A one-file reader of NumPy's format 1.0 for little-endian float32. */
function readNpy(bytes, count) {
  const start = 10 + bytes.readUInt16LE(8)
  const header = bytes.toString('latin1', 10, start)
  if (!header.includes("'<f4'") || bytes.length - start !== 4 * count) throw new Error(`unexpected .npy: ${header}`)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length))
}
