/** The tables, as text for people. Rates are medians over the rounds. */
import { NOISY } from './machine.mjs'

const columns = [
  ['contender', (name) => name],
  ['version', (_, d) => d.version ?? ''],
  ['img/s', (_, d) => number(d.imagesPerSecond, 1)],
  ['ms/batch', (_, d) => number(d.milliseconds, 1)],
  [
    'rounds min-max',
    (_, d) => (d.rounds.length ? `${number(Math.min(...d.rounds), 1)}-${number(Math.max(...d.rounds), 1)}` : ''),
  ],
  ['difference', (_, d) => (d.difference === null ? '' : d.difference.toExponential(1))],
  ['peak MB', (_, d) => d.peakMb ?? ''],
  ['others', (_, d) => (d.others === null ? '' : `${Math.round(d.others * 100)} %${d.others > NOISY ? ' noisy' : ''}`)],
]

function number(value, digits) {
  return value === null || value === undefined ? '' : value.toFixed(digits)
}

export function printHeader({ machine, weights }) {
  const { cpu, cores, units, memoryGb, isa, threads, load, date } = machine
  const source =
    weights === 'BVLC'
      ? 'BVLC weights; difference: of probabilities from those Caffe computed (int8: from ours in f32)'
      : 'random weights (no reference data); difference: of probabilities from the first contender'
  console.log(`\n${cpu}, ${cores} cores, ${memoryGb} GiB; ${units.join(' ')}`)
  console.log(`${isa}, ${threads} threads, ${date} UTC, load ${load.toFixed(2)} at the start`)
  console.log(`${source}; for training: of the losses, relative, from ours`)
}

/** @param {(line: string) => void} print */
export function printRow(row, print = console.log) {
  print(`\n${row.work}${row.what ? ` of ${row.what}, one thread` : ''}, batch ${row.batch}, ${row.precision}`)
  const lines = Object.entries(row.details)
    .sort(([, a], [, b]) => (b.imagesPerSecond ?? -1) - (a.imagesPerSecond ?? -1))
    .map(([name, detail]) =>
      detail.problem ? [name, detail.problem] : columns.map(([, cell]) => String(cell(name, detail))),
    )
  const table = [columns.map(([title]) => title), ...lines]
  // A problem is a sentence and takes the rest of its line.
  const widths = columns.map((_, i) => Math.max(...table.filter((l) => l.length > 2).map((line) => line[i].length)))
  for (const line of table) {
    const cells =
      line.length > 2 ? line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))) : line
    print(`  ${line.length > 2 ? cells.join('  ') : `${line[0].padEnd(widths[0])}  ${line[1]}`}`)
  }
  if (row.ratio === null) return
  const [low, high] = row.spread.map((value) => value.toFixed(2))
  print(`  ${row.ourBest} / best peer (${row.best}): ${row.ratio.toFixed(2)} (rounds ${low}-${high})`)
}

/** Photos named rightly. */
export function printAccuracy({ precision, photos, details }) {
  console.log(`\naccuracy, ${precision}, of ${photos} photos: first, among the first five`)
  const width = Math.max(...Object.keys(details).map((name) => name.length))
  for (const [name, { problem, top1, top5 }] of Object.entries(details))
    console.log(`  ${name.padEnd(width)}  ${problem ?? `${top1}  ${top5}`}`)
}

/** Everything in one table of Markdown: a row for each kind of work, ours, the best peer and the others. */
export function printTable(rows) {
  const line = (cells) => console.log(`| ${cells.join(' | ')} |`)
  const rate = (value) => (value === null ? 'not timed' : value.toFixed(1))
  console.log('')
  line(['work', 'ours, img/s', 'best peer', 'ratio', 'rounds', 'others'])
  line(['---', '---:', '---', '---:', '---', '---'])
  for (const { work, what, precision, batch, ours, ourBest, peers, ratio, spread } of rows) {
    const timed = Object.entries(peers).filter(([, value]) => value !== null)
    const [best, ...others] = timed.sort(([, a], [, b]) => b - a).map(([name, value]) => `${name} ${rate(value)}`)
    line([
      `${work}${what ? ` of ${what}` : ''} ${precision}, batch ${batch}`,
      `${rate(ours)}${ourBest?.endsWith('throughput') ? ' (streams)' : ''}`,
      best ?? 'none',
      ratio === null ? '' : ratio.toFixed(2),
      spread === null ? '' : spread.map((value) => value.toFixed(2)).join('-'),
      others.join(', '),
    ])
  }
}
