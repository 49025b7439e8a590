/** Medians, and the ratio of our best to the best peer, round by round. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The one with the highest median, of those that were timed. */
export function bestOf(entries) {
  const timed = entries.filter(({ speeds }) => speeds.length > 0)
  return timed.length ? timed.reduce((a, b) => (median(b.speeds) > median(a.speeds) ? b : a)) : undefined
}

/**
 * The ratio is the median of the rounds' ratios, because both figures of a round saw the same state of the machine. The
 * spread is their smallest and largest.
 *
 * @param {{ name: string, speeds: number[] }[]} ours ways of ours
 * @param {{ name: string, speeds: number[] }[]} peers
 */
export function compare(ours, peers) {
  const mine = bestOf(ours)
  const best = bestOf(peers)
  const names = { ourBest: mine?.name ?? null, best: best?.name ?? null }
  if (!mine || !best) return { ...names, ratio: null, spread: null }
  const rounds = Math.min(mine.speeds.length, best.speeds.length)
  const ratios = Array.from({ length: rounds }, (_, round) => mine.speeds[round] / best.speeds[round])
  return { ...names, ratio: median(ratios), spread: [Math.min(...ratios), Math.max(...ratios)] }
}
