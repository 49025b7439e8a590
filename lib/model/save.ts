/**
 * A model's weights to a file, the format chosen by its ending: .safetensors with the model's description and its
 * calibration, or a .caffemodel with the layers, names and geometry of the network table and the input's size: Caffe's
 * format has no place for labels, other options or ranges.
 */
import { extname } from 'node:path'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'
import { checkPath } from '../options.js'
import { type CaffeLayer, writeCaffemodel } from '../weights/caffemodel.js'
import { type LoadedModel, saveModel } from '../weights/checkpoint.js'
import { type TensorMap, writeSafetensors } from '../weights/safetensors.js'
import { googlenet, type NetworkOptions } from './googlenet.js'
import type { Pair } from './layer.js'
import { guessOptions } from './load.js'

export const WRITABLE = ['.safetensors', '.caffemodel']

/** @throws GOOGLENET_ERR_UNSUPPORTED, GOOGLENET_ERR_WEIGHTS_MISMATCH, GOOGLENET_ERR_FILE_WRITE; AbortError */
export async function saveFile(path: string, file: LoadedModel, signal?: AbortSignal): Promise<void> {
  checkPath('path', path)
  throwIfAborted(signal)
  const { weights, model, inputSize, labels = [], preprocessing, calibration } = file
  const extension = extname(path).toLowerCase()
  if (!WRITABLE.includes(extension)) {
    const message = `cannot write ${path}: expected a name that ends in ${WRITABLE.join(' or ')}`
    throw new GoogLeNetError('GOOGLENET_ERR_UNSUPPORTED', message)
  }
  if (extension === '.caffemodel') {
    const options = { ...guessOptions(weights), inputSize, ...(model as NetworkOptions) }
    await writeCaffemodel(path, 'GoogleNet', caffeLayers(weights, options), { signal, inputSize: options.inputSize })
  } else if (model) {
    await saveModel(path, { weights, model, labels, preprocessing, calibration }, { signal })
  } else if (inputSize) {
    const defaults = { classes: 1000, width: 1, auxiliary: true, block: 'reduced', dropout: {}, seed: 1 } as const
    const known = { ...defaults, ...guessOptions(weights), inputSize }
    await saveModel(path, { weights, model: known, labels, preprocessing, calibration }, { signal })
  } else {
    await writeSafetensors(path, weights, {}, { signal })
  }
}

/** The network's layers that `weights` has tensors for. */
function caffeLayers(weights: TensorMap, options: NetworkOptions): CaffeLayer[] {
  const layers: CaffeLayer[] = []
  for (const row of googlenet(options)) {
    if (row.op !== 'conv' && row.op !== 'linear') continue
    const weight = weights.get(`${row.name}.weight`)
    if (!weight) continue
    layers.push({
      name: row.name,
      type: row.op === 'conv' ? 'Convolution' : 'InnerProduct',
      bottom: [row.src],
      top: [row.name],
      ...(row.op === 'conv' && { pad: side(row.pad ?? 0), stride: side(row.stride ?? 1) }),
      weight,
      bias: weights.get(`${row.name}.bias`),
    })
  }
  const written = layers.reduce((sum, { bias }) => sum + (bias ? 2 : 1), 0)
  if (written !== weights.size) {
    const strangers = [...weights.keys()].filter((name) => !layers.some((layer) => name.startsWith(`${layer.name}.`)))
    throw new GoogLeNetError(
      'GOOGLENET_ERR_WEIGHTS_MISMATCH',
      `expected the tensors of a GoogLeNet with Caffe's names, got ${weights.size - written} others: ` +
        strangers.slice(0, 5).join(', '),
    )
  }
  return layers
}

function side(value: Pair): number {
  return typeof value === 'number' ? value : value[0]
}
