/**
 * What a GPU cannot beat, per operation: FLOPs over its peak, bytes over its bandwidth, the larger of the two. No reuse
 * between operations by caches, every tensor read and written once, bias and ReLU inside the convolutions. The one
 * table of costs and cards: roofline.mjs prints it, gpu.mjs puts measured times beside it.
 */

/**
 * Vendor's peaks, dense: FLOP/s on f32 cores and on tensor cores, bytes/s. `device`: how the driver names the card.
 * H200 and H100: data sheets of the SXM5 cards; A100: of the 80 GB SXM4 card.
 */
export const CARDS = {
  H200: { name: 'H200 SXM', device: /H200(?! NVL)/, f32: 67e12, tf32: 494e12, bf16: 989e12, bandwidth: 4.8e12 },
  H100: { name: 'H100 SXM', device: /H100.*(HBM3|SXM)/, f32: 67e12, tf32: 494e12, bf16: 989e12, bandwidth: 3.35e12 },
  A100: {
    name: 'A100 SXM 80 GB',
    device: /A100-SXM.*80GB/,
    f32: 19.5e12,
    tf32: 156e12,
    bf16: 312e12,
    bandwidth: 2.04e12,
  },
}
export const BYTES = { f32: 4, tf32: 4, bf16: 2 }
export const DIRECTIONS = ['forward', 'backward data', 'backward weights']

export const cardOf = (device) => Object.values(CARDS).find((card) => card.device.test(device))

/**
 * Layers as GPUs take them: LRN and the pool beside it are one step (docs/decisions/0011-fused-passes.md).
 *
 * @param {object[]} layers as a session describes them
 */
export function steps(layers) {
  const readers = (name) => layers.filter(({ sources }) => sources.includes(name))
  const kinds = { pool: 'lrn', lrn: 'pool' }
  const list = []
  const taken = new Set()
  for (const layer of layers) {
    if (taken.has(layer.name)) continue
    const [next, ...others] = readers(layer.name)
    const paired = next && others.length === 0 && kinds[layer.op] === next.op
    if (paired) taken.add(next.name)
    const { name, op, phase } = layer
    list.push(paired ? { name: `${name} + ${next.name}`, op: `${op} + ${next.op}`, phase } : { name, op, phase })
  }
  return list
}

/**
 * Elements moved and FLOPs of one image, by direction; undefined for what is in place or too small to count. Weights
 * are shared by a batch and left out. Convolutions that run as one step ('a + b') read their source once.
 *
 * @param {Map<string, object>} layers by name, as a session describes them
 * @param {string} name of a layer, or of several with ' + ' between
 */
export function cost(layers, name, direction, op, training = true) {
  const members = name.split(' + ').map((member) => layers.get(member))
  const size = ({ shape: [c, h, w] }) => c * h * w
  const sources = members[0].sources.map((source) => layers.get(source))
  const x = sources.reduce((sum, source) => sum + size(source), 0)
  const y = members.reduce((sum, member) => sum + size(member), 0)
  if (op === 'conv' || op === 'linear') {
    const first = direction === 'backward data' && sources[0].op === 'input'
    const flops = 2 * members.reduce((sum, { macs }) => sum + macs, 0)
    return first ? { elements: 0, flops: 0 } : { elements: x + y, flops }
  }
  if (direction === 'backward weights') return undefined
  if (op === 'pool') return { elements: x + y, flops: 0 }
  if (op === 'lrn') return { elements: direction === 'forward' ? x + y : 2 * x + y, flops: 0 }
  const last = size(members.at(-1))
  if (op === 'pool + lrn') return { elements: x + (training ? y : last), flops: 0 } // y: what is between them too
  if (op === 'lrn + pool') return { elements: direction === 'forward' ? x + last : 2 * x + last, flops: 0 }
  if (op === 'sum' || op === 'mask') return { elements: 3 * y, flops: 0 }
  return undefined
}

/** Seconds at least; `precision` is that of the arithmetic and of the tensors in memory. */
export function limit(card, precision, { elements, flops }) {
  return Math.max((elements * BYTES[precision]) / card.bandwidth, flops / card[precision])
}
