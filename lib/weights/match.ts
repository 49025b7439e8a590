/**
 * Compares the tensors of a file with those a network expects, and lists every difference in one error with the
 * likely reason: another variant of GoogLeNet, another number of classes, absent auxiliary heads.
 * Key layouts of other variants: torchvision models/googlenet.py, TF-Slim inception_v1.py, TF inception5h.
 */
import { GoogLeNetError } from '../errors.js'
import type { Tensor, TensorMap } from './safetensors.js'

export interface ExpectedTensor {
  name: string
  shape: readonly number[]
}

export interface MatchOptions {
  /** Names that may be absent; they are then absent from the result too. */
  allowMissing?: (name: string) => boolean
  /** Names in the file that are nobody's business. An expected name is never ignored. */
  ignore?: (name: string) => boolean
}

interface Differences {
  missing: string[]
  unexpected: string[]
  wrongShape: { name: string; expected: readonly number[]; got: readonly number[] }[]
}

/**
 * Returns the tensors to load, in the order of `expected`.
 *
 * @throws GOOGLENET_ERR_WEIGHTS_MISMATCH whose message lists all missing, unexpected and misshapen tensors
 */
export function matchTensors(
  expected: readonly ExpectedTensor[],
  got: ReadonlyMap<string, Tensor>,
  { allowMissing = () => false, ignore = () => false }: MatchOptions = {},
): TensorMap {
  const matched: TensorMap = new Map()
  const differences: Differences = { missing: [], unexpected: [], wrongShape: [] }
  const names = new Set<string>()
  for (const { name, shape } of expected) {
    names.add(name)
    const tensor = got.get(name)
    if (tensor === undefined) {
      if (!allowMissing(name)) differences.missing.push(name)
    } else if (!sameShape(shape, tensor.shape)) {
      differences.wrongShape.push({ name, expected: shape, got: tensor.shape })
    } else {
      matched.set(name, tensor)
    }
  }
  for (const name of got.keys()) if (!names.has(name) && !ignore(name)) differences.unexpected.push(name)

  const { missing, unexpected, wrongShape } = differences
  if (missing.length + unexpected.length + wrongShape.length > 0) {
    throw new GoogLeNetError('GOOGLENET_ERR_WEIGHTS_MISMATCH', describe(differences, expected.length, got))
  }
  return matched
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis])
}

function describe(differences: Differences, expected: number, got: ReadonlyMap<string, Tensor>): string {
  const { missing, unexpected, wrongShape } = differences
  const counts = `${missing.length} missing, ${wrongShape.length} of another shape, ${unexpected.length} unexpected`
  return [
    `the weights do not fit the network (${expected} tensors expected, ${got.size} came: ${counts})`,
    ...hints(differences, got).map((hint) => `hint: ${hint}`),
    ...missing.map((name) => `missing: ${name}`),
    ...wrongShape.map((it) => `shape: ${it.name}: expected [${it.expected.join(', ')}], got [${it.got.join(', ')}]`),
    ...unexpected.map((name) => `unexpected: ${name}`),
  ].join('\n')
}

/** First match wins: torchvision's keys hold batch normalisation too. */
const VARIANTS: readonly { keys: RegExp; hint: string }[] = [
  {
    keys: /^(inception\d[a-e]\.branch\d|conv[123]\.(conv|bn)\.|aux[12]\.(conv|fc\d)\.)/,
    hint: 'these are weights of the torchvision GoogLeNet, another variant (batch normalisation, no LRN, 3x3 for 5x5); this network loads weights of the Caffe bvlc_googlenet',
  },
  {
    keys: /^(InceptionV1\/|mixed\d[a-e]_|conv2d\d|head\d_)/,
    hint: 'these are weights of a TensorFlow Inception v1, another variant (other padding and classes); this network loads weights of the Caffe bvlc_googlenet',
  },
  {
    keys: /(running_(mean|var)|moving_(mean|variance)|num_batches_tracked|[./]bn\b|_bn\b|BatchNorm)/,
    hint: 'these weights have batch normalisation, this network has none; it loads weights of the Caffe bvlc_googlenet',
  },
  { keys: /^(momentum|average)\//, hint: 'this is a training checkpoint: resume it, or load it as a model' },
]

const CLASSIFIER = /^loss[123]\/classifier\.(weight|bias)$/
const AUXILIARY = /^loss[12]\//

function hints({ missing, unexpected, wrongShape }: Differences, got: ReadonlyMap<string, Tensor>): string[] {
  const variant = VARIANTS.find(({ keys }) => unexpected.some((name) => keys.test(name)))
  if (variant) return [variant.hint]

  const found: string[] = []
  const others = unexpected.filter((name) => !AUXILIARY.test(name))
  if (missing.some((name) => AUXILIARY.test(name)) && missing.every((name) => AUXILIARY.test(name))) {
    found.push(
      'the weights have no auxiliary heads: create the model with auxiliary: false, or let the heads start anew',
    )
  }
  if (unexpected.length > others.length && others.length === 0) {
    found.push(
      'the weights have auxiliary heads and the network none: create the model with auxiliary: true, or drop them',
    )
  }
  const classifier = wrongShape.find(({ name }) => CLASSIFIER.test(name))
  if (classifier && wrongShape.every(({ name }) => CLASSIFIER.test(name))) {
    const [wanted, there] = [classifier.expected[0], got.get(classifier.name)?.shape[0]]
    found.push(
      `only the classifier differs: the weights know ${there} classes, the network ${wanted}; create the model with classes: ${there}, or fine-tune with classes: ${wanted} and a new classifier`,
    )
  } else if (wrongShape.length > 0 && missing.length === 0) {
    found.push('the names fit and the shapes do not: the weights were made with another width, block or inputSize')
  } else if ([...missing, ...unexpected].some((name) => /_reduce\.|pool_proj\./.test(name))) {
    found.push("the reductions differ: block 'naive' and block 'reduced' do not share weights")
  }
  return found
}
