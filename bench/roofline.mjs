// `node bench/roofline.mjs`: what a GPU cannot beat, per operation of the network: FLOPs over its peak, bytes over its
// bandwidth, the larger of the two. No reuse between operations by caches, every tensor read and written once, bias and
// ReLU inside the convolutions, 1x1 convolutions with one source counted apart. Figures of paper, not of a machine.

import { googlenet } from '../dist/model/googlenet.js'
import { native } from '../dist/native.js'

/** Vendor's peaks, dense: FLOP/s on f32 cores and on bf16 tensor cores, bytes/s. */
const CARDS = {
  H100: { name: 'H100 SXM', f32: 67e12, bf16: 989e12, bandwidth: 3.35e12 },
  A100: { name: 'A100 SXM 80 GB', f32: 19.5e12, bf16: 312e12, bandwidth: 2.04e12 },
}
const BYTES = { f32: 4, bf16: 2 }

const session = new (native().Session)({ layers: googlenet() })
const { layers } = session.describe()
await session.dispose()
const size = ({ shape: [c, h, w] }) => c * h * w
const byName = new Map(layers.map((layer) => [layer.name, layer]))

/** Elements moved and FLOPs of one image; weights are shared by a batch and left out. */
function cost(layer) {
  const y = size(layer)
  const x = layer.sources.reduce((sum, name) => sum + size(byName.get(name)), 0)
  const first = layer.sources.some((name) => byName.get(name).op === 'input')
  if (layer.op === 'conv' || layer.op === 'linear') {
    const flops = 2 * layer.macs
    // Backward: diff_dst twice, src for the weights, diff_src; the network's input needs none.
    return { forward: x + y, backward: 2 * y + x + (first ? 0 : x), flops, backwardFlops: flops * (first ? 1 : 2) }
  }
  if (layer.op === 'pool') return { forward: x + y, backward: y + x, flops: 0, backwardFlops: 0 }
  if (layer.op === 'lrn') return { forward: x + y, backward: 2 * x + y, flops: 0, backwardFlops: 0 }
  return undefined // slices, in place, or too small to count
}

const seconds = (card, type, elements, flops) => Math.max((elements * BYTES[type]) / card.bandwidth, flops / card[type])
const rows = []
for (const layer of layers) {
  const c = cost(layer)
  if (!c) continue
  const times = Object.values(CARDS).flatMap((card) =>
    Object.keys(BYTES).map(
      (type) => seconds(card, type, c.forward, c.flops) + seconds(card, type, c.backward, c.backwardFlops),
    ),
  )
  rows.push({
    name: layer.name,
    megabytes: ((c.forward + c.backward) * 4) / 1e6,
    gflop: (c.flops + c.backwardFlops) / 1e9,
    times,
  })
}
const total = {
  name: '**all**',
  megabytes: rows.reduce((sum, { megabytes }) => sum + megabytes, 0),
  gflop: rows.reduce((sum, { gflop }) => sum + gflop, 0),
  times: rows[0].times.map((_, i) => rows.reduce((sum, { times }) => sum + times[i], 0)),
}
const headings = Object.values(CARDS).flatMap(({ name }) => Object.keys(BYTES).map((type) => `${name} ${type}`))
console.log(
  `| forward and backward, one image | MB (f32) | GFLOP | ${headings.map((h) => `${h}, µs`).join(' | ')} | measured |`,
)
console.log(`|---|${'---:|'.repeat(3 + headings.length)}`)
for (const { name, megabytes, gflop, times } of [...rows, total]) {
  console.log(
    `| ${name} | ${megabytes.toFixed(2)} | ${gflop.toFixed(3)} | ${times.map((t) => (t * 1e6).toFixed(2)).join(' | ')} | |`,
  )
}
const perSecond = total.times.map((t) => Math.floor(1 / t).toLocaleString('en'))
console.log(`| **images/s at most** | | | ${perSecond.join(' | ')} | |`)
