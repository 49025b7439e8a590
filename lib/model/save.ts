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
import { resolveOptions } from './model-options.js'

export const WRITABLE = ['.safetensors', '.caffemodel']

/**
 * Returns what the file had no place for.
 *
 * @throws GOOGLENET_ERR_UNSUPPORTED, GOOGLENET_ERR_WEIGHTS_MISMATCH, GOOGLENET_ERR_FILE_WRITE; AbortError
 */
export async function saveFile(path: string, file: LoadedModel, signal?: AbortSignal): Promise<string[]> {
  checkPath('path', path)
  throwIfAborted(signal)
  const { weights, inputSize, labels = [], preprocessing, calibration } = file
  const extension = extname(path).toLowerCase()
  if (!WRITABLE.includes(extension)) {
    const message = `cannot write ${path}: expected a name that ends in ${WRITABLE.join(' or ')}`
    throw new GoogLeNetError('GOOGLENET_ERR_UNSUPPORTED', message)
  }
  const model = file.model ?? (inputSize && resolveOptions({ ...guessOptions(weights), inputSize }))
  if (extension === '.caffemodel') {
    const options = { ...guessOptions(weights), ...(model as NetworkOptions) }
    await writeCaffemodel(path, 'GoogleNet', caffeLayers(weights, options), { signal, inputSize: options.inputSize })
    return [...(labels.length > 0 ? ['labels'] : []), ...(calibration ? ['ranges for int8'] : [])]
  }
  if (model) {
    await saveModel(path, { weights, model, labels, preprocessing, calibration }, { signal })
  } else {
    await writeSafetensors(path, weights, {}, { signal })
  }
  return []
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
