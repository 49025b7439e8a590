// `node bench/roofline.mjs`: the limits of lib/roofline.mjs for every operation of the network, as the tables of
// docs/roofline.md. 1x1 convolutions with one source are counted apart. Figures of paper, not of a machine.

import { googlenet } from '../dist/model/googlenet.js'
import { native } from '../dist/native.js'
import { BYTES, CARDS, cost, DIRECTIONS, limit, steps } from './lib/roofline.mjs'

const cards = Object.values(CARDS)
/** tf32 moves f32's bytes. */
const PRECISIONS = ['f32', 'bf16']

const session = new (native().Session)({ layers: googlenet() })
const { layers } = session.describe()
await session.dispose()
const byName = new Map(layers.map((layer) => [layer.name, layer]))

/** Costs by direction. */
const rows = steps(layers).flatMap(({ name, op, phase }) => {
  const costs = DIRECTIONS.map((direction) => cost(byName, name, direction, op))
  if (!costs[0]) return []
  const inference = phase === 'train' ? [] : [cost(byName, name, 'forward', op, false)]
  return [{ name, costs: costs.filter(Boolean), inference }]
})
const sum = (list, of) => list.reduce((total, entry) => total + of(entry), 0)
const seconds = (costs) => cards.flatMap((card) => PRECISIONS.map((type) => sum(costs, (c) => limit(card, type, c))))
const megabytes = (costs) => (sum(costs, ({ elements }) => elements) * BYTES.f32) / 1e6
const gflop = (costs) => sum(costs, ({ flops }) => flops) / 1e9

const headings = cards.flatMap(({ name }) => PRECISIONS.map((type) => `${name} ${type}`))
const line = (...cells) => console.log(`|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|`)
const row = (name, costs) =>
  line(
    ...[name, megabytes(costs).toFixed(2), gflop(costs).toFixed(3)],
    ...seconds(costs).map((time) => (time * 1e6).toFixed(2)),
    '',
  )

line('forward and backward, one image', 'MB (f32)', 'GFLOP', ...headings.map((heading) => `${heading}, µs`), 'measured')
console.log(`|---|${'---:|'.repeat(3 + headings.length)}`)
for (const { name, costs } of rows) row(name, costs)
const training = rows.flatMap(({ costs }) => costs)
row('**all**', training)

const inference = rows.flatMap((entry) => entry.inference)
console.log()
line('images/s at most: paper, not measured', ...headings)
console.log(`|---|${'---:|'.repeat(headings.length)}`)
for (const [work, costs] of Object.entries({ training, inference })) {
  line(`${work}, predicted`, ...seconds(costs).map((time) => Math.floor(1 / time).toLocaleString('en')))
  line(`${work}, measured`, ...headings.map(() => ''))
}
