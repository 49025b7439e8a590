/** What a network consists of and costs, from the rows as native code understood them. */
import type { LayerInfo } from '../native.js'
import { invalid, nearest } from '../options.js'

export interface Summary {
  layers: LayerInfo[]
  /** Weights and biases used at inference. */
  parameters: number
  /** Those of the auxiliary heads included. */
  trainingParameters: number
  /** Multiply-accumulates of one image at inference. */
  macs: number
}

export function summarize(layers: LayerInfo[]): Summary {
  const used = atInference(layers)
  const sum = (rows: LayerInfo[], key: 'parameters' | 'macs') => rows.reduce((total, row) => total + row[key], 0)
  return {
    layers,
    parameters: sum(used, 'parameters'),
    trainingParameters: sum(layers, 'parameters'),
    macs: sum(used, 'macs'),
  }
}

function atInference(layers: LayerInfo[]): LayerInfo[] {
  return layers.filter(({ phase }) => phase !== 'train')
}

/** (C, H, W) of a blob. @throws GOOGLENET_ERR_INVALID_ARGUMENT with the nearest name for one that is not computed */
export function shapeAtInference(layers: LayerInfo[], blob: string): LayerInfo['shape'] {
  if (typeof blob !== 'string') throw invalid('blob', 'the name of a blob computed at inference', blob)
  const computed = atInference(layers)
  const found = computed.find(({ name }) => name === blob)
  if (found) return found.shape
  const near = nearest(
    blob,
    computed.map(({ name }) => name),
  )
  throw invalid('blob', `the name of a blob computed at inference${near ? ` (did you mean '${near}'?)` : ''}`, blob)
}
