/**
 * Staleness: how many updates the store made between a worker's fetch and the arrival of its gradient, counted per
 * push. With W workers of equal speed its mean is W - 1.
 */

export interface StalenessSummary {
  /** Pushes counted. */
  pushes: number
  mean: number
  p50: number
  p95: number
  max: number
  /** Pushes of staleness 0, 1, 2, … */
  histogram: number[]
  /** Pushes that were too stale to be applied. */
  rejected: number
}

export class Staleness {
  readonly #counts: number[] = []
  #rejected = 0

  add(staleness: number, applied: boolean): void {
    while (this.#counts.length <= staleness) this.#counts.push(0)
    this.#counts[staleness]!++
    if (!applied) this.#rejected++
  }

  get pushes(): number {
    return this.#counts.reduce((a, b) => a + b, 0)
  }

  summary(): StalenessSummary {
    const pushes = this.pushes
    const total = this.#counts.reduce((sum, count, staleness) => sum + count * staleness, 0)
    const at = (share: number) => {
      let passed = 0
      return Math.max(
        0,
        this.#counts.findIndex((count) => {
          passed += count
          return count > 0 && passed >= share * pushes
        }),
      )
    }
    return {
      ...{ pushes, mean: pushes > 0 ? total / pushes : 0, p50: at(0.5), p95: at(0.95) },
      ...{ max: Math.max(0, this.#counts.length - 1), histogram: [...this.#counts], rejected: this.#rejected },
    }
  }
}
