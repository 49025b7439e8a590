/**
 * From a weight file to a model: the network's options come from the file's description or, for foreign files, from
 * the shapes of its tensors; options the caller gives win. Tensors that cannot be kept then start afresh: the
 * classifiers for another number of classes, the heads' first layer for another input size, absent heads.
 */
import { checkPath } from '../options.js'
import type { Calibration } from '../weights/calibration.js'
import { loadModelFile } from '../weights/checkpoint.js'
import { invalidFile } from '../weights/file.js'
import { type ExpectedTensor, matchTensors } from '../weights/match.js'
import type { TensorMap } from '../weights/safetensors.js'
import { CLASSIFIERS, type NetworkOptions } from './googlenet.js'

export interface LoadedNetwork {
  options: NetworkOptions & { seed?: number }
  /** None when the classes are others than the file's. */
  labels: readonly string[]
  /** None for another input size: it would see other values. */
  calibration: Calibration | undefined
  /** Why there is none. */
  uncalibrated: string
  /** The file's tensors for a network with these parameters. */
  match(expected: readonly ExpectedTensor[]): TensorMap
}

const HEADS = /^(loss1|loss2)\//
const NETWORK_KEYS = ['classes', 'inputSize', 'width', 'auxiliary', 'block', 'dropout', 'filler'] as const

/** @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_INVALID_FILE; match: GOOGLENET_ERR_WEIGHTS_MISMATCH */
export async function openNetwork(
  path: string,
  given: NetworkOptions & { seed?: number },
  signal?: AbortSignal,
): Promise<LoadedNetwork> {
  checkPath('path', path)
  const file = await loadModelFile(path, { signal })
  const { inputSize } = file
  const known = { ...guessOptions(file.weights), inputSize, ...(file.model as NetworkOptions & { seed?: number }) }
  const options: NetworkOptions & { seed?: number } = { seed: known.seed }
  for (const key of NETWORK_KEYS) Object.assign(options, { [key]: given[key] ?? known[key] })
  options.seed = given.seed ?? known.seed

  const otherClasses = options.classes !== known.classes
  const otherSize = (options.inputSize ?? 224) !== (known.inputSize ?? 224)
  const hasHeads = [...file.weights.keys()].some((name) => HEADS.test(name))
  // A file that does not tell its size (.caffemodel) tells by its shapes whether they are for this one.
  const fits = (expected: readonly ExpectedTensor[], name: string) => {
    const weight = name.replace(/\.\w+$/, '.weight')
    const shape = expected.find((tensor) => tensor.name === weight)?.shape
    return known.inputSize === undefined && String(file.weights.get(weight)?.shape) === String(shape)
  }
  const startsAfresh = (expected: readonly ExpectedTensor[]) => (name: string) =>
    (otherClasses && CLASSIFIERS.some((classifier) => name.startsWith(`${classifier}.`))) ||
    (otherSize && /^loss[12]\/fc\./.test(name) && !fits(expected, name)) ||
    (!hasHeads && HEADS.test(name))
  return {
    options,
    labels: otherClasses ? [] : (file.labels ?? []),
    calibration: otherSize ? undefined : file.calibration,
    uncalibrated: `${path} holds none${file.calibration ? ` for inputs of ${options.inputSize} pixels` : ''}`,
    match: (expected) => {
      const fresh = startsAfresh(expected)
      const kept = new Map([...file.weights].filter(([name]) => !fresh(name)))
      checkFinite(path, kept)
      return matchTensors(expected, kept, {
        allowMissing: fresh,
        ignore: (name) => options.auxiliary === false && HEADS.test(name),
      })
    },
  }
}

/** ReLUs would turn NaN into plausible answers. */
function checkFinite(path: string, weights: TensorMap): void {
  for (const [name, { data }] of weights) {
    let zero = 0
    for (let i = 0; i < data.length; i++) zero += data[i]! * 0
    if (zero !== 0) throw invalidFile(path, `values of '${name}' are NaN or infinite: the run that made them diverged`)
  }
}

/** What a file without a description says by its tensors. */
export function guessOptions(weights: TensorMap): NetworkOptions {
  const outputs = (layer: string) => weights.get(`${layer}.weight`)?.shape[0]
  const first = outputs('conv1/7x7_s2')
  return {
    classes: outputs('loss3/classifier') ?? 1000,
    width: first ? first / 64 : 1,
    block: outputs('inception_3a/3x3') && !outputs('inception_3a/3x3_reduce') ? 'naive' : 'reduced',
    auxiliary: outputs('loss1/classifier') !== undefined,
  }
}
