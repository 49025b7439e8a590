/**
 * What commands say and where: results on stdout (with --json one JSON object on the last line and nothing else),
 * progress and remarks on stderr (a bar on a terminal, a plain line now and then elsewhere, nothing with --json).
 */
import { SingleBar } from 'cli-progress'

export interface Progress {
  /** `details` follows the count: 'loss 1.234, 61 images/s'. */
  update(done: number, details?: string): void
  stop(): void
}

/** Seconds between two plain lines where stderr is no terminal. */
const PLAIN_INTERVAL = 10

export class Ui {
  constructor(
    readonly json: boolean,
    /** Aborted by SIGINT and SIGTERM. */
    readonly signal: AbortSignal,
  ) {}

  /** The command's outcome: `data` for scripts, `text` for people. */
  result(data: object, text: string): void {
    process.stdout.write(`${this.json ? JSON.stringify(data) : text}\n`)
  }

  /** A remark on the way. */
  note(text: string): void {
    if (!this.json) process.stderr.write(`${text}\n`)
  }

  /** Progress of `body`, with images a second; its end is the bar's. */
  async counting<T>(
    label: string,
    total: number,
    body: (onProgress: (progress: { done: number }) => void) => Promise<T>,
  ): Promise<T> {
    const progress = this.progress(label, total)
    const start = performance.now()
    try {
      return await body(({ done }) =>
        progress.update(done, `${((1000 * done) / (performance.now() - start)).toFixed(1)} images/s`),
      )
    } finally {
      progress.stop()
    }
  }

  progress(label: string, total: number): Progress {
    if (this.json) return { update() {}, stop() {} }
    return process.stderr.isTTY ? bar(label, total) : plain(label, total)
  }
}

function bar(label: string, total: number): Progress {
  const format = `${label} {bar} {value}/{total} | {details} | {eta_formatted} left`
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true, clearOnComplete: true, barsize: 24 })
  bar.start(total, 0, { details: '' })
  return {
    update: (done, details = '') => bar.update(done, { details }),
    stop: () => bar.stop(),
  }
}

function plain(label: string, total: number): Progress {
  let next = performance.now() + PLAIN_INTERVAL * 1000
  return {
    update(done, details = '') {
      if (performance.now() < next) return
      next = performance.now() + PLAIN_INTERVAL * 1000
      process.stderr.write(`${label} ${done}/${total}${details && ` | ${details}`}\n`)
    },
    stop() {},
  }
}

export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const text = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : cell)))
  const widths = text[0]?.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0))) ?? []
  const line = (row: string[], at: number) =>
    row.map((cell, i) => (typeof rows[at]?.[i] === 'number' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
  return text.map((row, at) => line(row, at).join('  ').trimEnd()).join('\n')
}
