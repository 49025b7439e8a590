/** Medians, and the ratio of ours to the best peer, round by round. */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * The best peer is the one with the highest median; the ratio is the median of the rounds' ratios, because both
 * figures of a round saw the same state of the machine. The spread is their smallest and largest.
 *
 * @param {{ name: string, speeds: number[] }} ours
 * @param {{ name: string, speeds: number[] }[]} peers
 */
export function compare(ours, peers) {
  const timed = peers.filter(({ speeds }) => speeds.length > 0)
  if (timed.length === 0) return { best: null, ratio: null, spread: null }
  const best = timed.reduce((a, b) => (median(b.speeds) > median(a.speeds) ? b : a))
  if (!ours?.speeds.length) return { best: best.name, ratio: null, spread: null }
  const rounds = Math.min(ours.speeds.length, best.speeds.length)
  const ratios = Array.from({ length: rounds }, (_, round) => ours.speeds[round] / best.speeds[round])
  return { best: best.name, ratio: median(ratios), spread: [Math.min(...ratios), Math.max(...ratios)] }
}
