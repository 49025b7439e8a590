/**
 * The order in which a run's gradients reached the store, one push a line, from which the run can be repeated bit for
 * bit: which worker pushed, which batches it had computed, and on which version of the weights.
 */
import { access } from 'node:fs/promises'
import { z } from 'zod'
import { GoogLeNetError } from '../errors.js'
import { invalid } from '../options.js'
import { appendLines, readText, writeFileAtomic } from '../weights/file.js'
import type { Member } from './team.js'
import type { Pushed } from './worker.js'

const FORMAT = 'googlenet-pushes/1'

const headerSchema = z.object({
  format: z.literal(FORMAT),
  workers: z.int().min(1),
  batchSize: z.int().min(1),
  seed: z.int().min(0),
  dataset: z.string(),
  /** Batches of the run before the first one here. */
  from: z.int().min(0),
})
const pushSchema = z.object({
  worker: z.int().min(0),
  staleness: z.int().min(0),
  applied: z.boolean(),
  /** In the order they were computed in. base: updates the fetched weights had seen; null: not fetched anew. */
  batches: z.array(z.object({ index: z.int().min(0), base: z.int().min(0).nullable() })).min(1),
})
export type PushLogHeader = Omit<z.infer<typeof headerSchema>, 'format'>
export type LoggedPush = z.infer<typeof pushSchema>

export class PushLog {
  #pushes: (LoggedPush & { order: number })[] = []

  private constructor(private readonly path: string) {}

  /** Starts a new file. @throws GOOGLENET_ERR_INVALID_ARGUMENT where there is one, GOOGLENET_ERR_FILE_WRITE */
  static async create(path: string, header: PushLogHeader): Promise<PushLog> {
    const exists = await access(path).then(
      () => true,
      () => false,
    )
    if (exists) throw invalid('record', 'a file that does not exist yet', path)
    await writeFileAtomic(path, [Buffer.from(`${JSON.stringify({ format: FORMAT, ...header })}\n`)])
    return new PushLog(path)
  }

  add(worker: number, { order, staleness, applied }: Pushed, held: Member['held']): void {
    const batches = held.map(({ task, base, fetched }) => ({ index: task.index, base: fetched ? base : null }))
    this.#pushes.push({ order, worker, staleness, applied, batches })
  }

  /** Appends what was added since, in the store's order. To be called when no worker is at work. */
  async write(): Promise<void> {
    const pushes = this.#pushes.sort((a, b) => a.order - b.order)
    this.#pushes = []
    await appendLines(
      this.path,
      pushes.map(({ order: _, ...push }) => JSON.stringify(push)),
    )
  }

  /** @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ, GOOGLENET_ERR_INVALID_FILE with the line */
  static async read(path: string): Promise<{ header: PushLogHeader; pushes: LoggedPush[] }> {
    const text = await readText(path)
    const [first = '', ...rest] = text.split('\n').filter((line) => line !== '')
    const parse = <T>(schema: z.ZodType<T>, line: string, number: number): T => {
      let json: unknown
      try {
        json = JSON.parse(line)
      } catch {}
      const result = schema.safeParse(json)
      if (result.success) return result.data
      const message = `${path}, line ${number}: expected a push log (${FORMAT}): ${z.prettifyError(result.error)}`
      throw new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', message)
    }
    const header = parse(headerSchema, first, 1)
    return { header, pushes: rest.map((line, at) => parse(pushSchema, line, at + 2)) }
  }
}
