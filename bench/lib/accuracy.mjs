/** `--accuracy`: how many of the 500 photos of ImageNet each contender names, first and among its first five. */
import { decode } from './check.mjs'

const BATCH = 20
const CLASSES = 1000

/**
 * @param {object[]} entries of start(), their processes running
 * @param {number[]} labels classes of the photos of accuracy.u8
 */
export async function accuracy(entries, precision, labels, progress) {
  const details = {}
  for (const entry of entries) {
    progress(`accuracy ${precision}: ${entry.name}`)
    details[entry.name] = entry.problem ? { problem: entry.problem } : await one(entry.child, precision, labels)
  }
  return { work: 'accuracy', precision, photos: labels.length, details }
}

async function one(child, precision, labels) {
  try {
    await child.ask({ do: 'prepare', work: 'inference', batch: BATCH, precision })
    let [top1, top5] = [0, 0]
    for (let first = 0; first < labels.length; first += BATCH) {
      const { output } = await child.ask({ do: 'predict', first, count: BATCH })
      const probabilities = decode(output)
      for (let i = 0; i < BATCH; i++) {
        const row = probabilities.subarray(i * CLASSES, (i + 1) * CLASSES)
        const before = rank(row, labels[first + i])
        if (before < 1) top1++
        if (before < 5) top5++
      }
    }
    return { top1, top5 }
  } catch (error) {
    return { problem: error.message.replaceAll('\n', ' ') }
  }
}

/** How many classes are more probable; equal ones count when they come first. NaN is never found. */
export function rank(row, label) {
  if (Number.isNaN(row[label])) return row.length
  return row.reduce((count, value, i) => count + (value > row[label] || (value === row[label] && i < label) ? 1 : 0), 0)
}
