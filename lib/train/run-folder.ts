/**
 * The folder of a run: `last/checkpoint.safetensors` to resume from, `best/` with the best checkpoint and its model,
 * one JSON object a line in `metrics.jsonl`, and the resolved options in `config.json`.
 */
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { GoogLeNetError } from '../errors.js'
import type { GoogLeNet } from '../model/model.js'
import { loadCheckpoint, saveCheckpoint, saveModel, type TrainingState } from '../weights/checkpoint.js'
import { appendLines, removeLeftovers, temporaryFor, writeFailure, writeFileAtomic } from '../weights/file.js'
import type { TensorMap } from '../weights/safetensors.js'

const CHECKPOINT = 'checkpoint.safetensors'
const MODEL = 'model.safetensors'
const METRICS = 'metrics.jsonl'
const LOCK = '.lock'

/** Where a resumed run comes from, a run's folder or a checkpoint, and how far it was then. */
export interface Resumed {
  from: string
  epoch: number
  imagesSeen: number
}

export class RunFolder {
  readonly #signs: NodeJS.Timeout

  private constructor(readonly path: string) {
    const lock = join(path, LOCK)
    this.#signs = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => {}), SIGN).unref()
  }

  /**
   * Makes the folder and holds it until close(). A new run starts a new metrics.jsonl; a resumed one goes on with the
   * old, without what was logged after its checkpoint, and brings its best model along into another folder.
   *
   * @throws GOOGLENET_ERR_INVALID_ARGUMENT while another run has the folder, GOOGLENET_ERR_FILE_WRITE
   */
  static async open(path: string, config: object, resumed?: Resumed): Promise<RunFolder> {
    await makeFolder(path)
    await hold(path)
    try {
      for (const file of ['config.json', METRICS, 'best', `last/${CHECKPOINT}`, `best/${CHECKPOINT}`, `best/${MODEL}`])
        await removeLeftovers(join(path, file))
      await writeFileAtomic(join(path, 'config.json'), [Buffer.from(`${JSON.stringify(config, null, 2)}\n`)])
      if (!resumed) await writeFileAtomic(join(path, METRICS), [])
      else if (resolve(resumed.from) === resolve(path)) await forget(join(path, METRICS), resumed)
      else await bringBest(resumed.from, path)
      return new RunFolder(path)
    } catch (error) {
      await letGo(path)
      throw error
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#signs)
    await letGo(this.path)
  }

  log(line: object): Promise<void> {
    return appendLines(join(this.path, METRICS), [JSON.stringify(line)])
  }

  /**
   * Returns the checkpoint's path. 'best' also writes the model alone, for those who only predict: the averaged weights
   * where an average is kept.
   */
  async save(kind: 'last' | 'best', model: GoogLeNet, state: TrainingState, kept: readonly Kept[]): Promise<string> {
    const path = join(this.path, kind, CHECKPOINT)
    await makeFolder(dirname(path))
    const weights = await model.parameters('weights')
    const parts = new Map<Kept, TensorMap>()
    for (const set of kept) parts.set(set, await model.parameters(set))
    const description = model.description()
    await saveCheckpoint(path, { weights, momentum: new Map(), ...Object.fromEntries(parts), state, ...description })
    const best = parts.get('average') ?? weights
    if (kind === 'best') await saveModel(bestModel(this.path), { weights: best, ...description })
    return path
  }
}

/** What a checkpoint holds beside the weights. */
export type Kept = 'momentum' | 'squares' | 'average'

/** The checkpoint of a run to go on with: a run's folder, or the file itself. */
export function lastCheckpoint(path: string): string {
  return path.endsWith('.safetensors') ? path : join(path, 'last', CHECKPOINT)
}

export function loadLast(path: string, signal?: AbortSignal) {
  return loadCheckpoint(lastCheckpoint(path), { signal })
}

/** Where a run's folder has the model that was best so far. */
export const bestModel = (path: string) => join(path, 'best', MODEL)

/** Milliseconds between two signs of life of a folder's run, and after how long without one it counts as dead. */
const SIGN = 10_000
const SILENCE = 60_000
/** Folders of runs of this process. */
const held = new Set<string>()

/** One run a folder: two would write over each other. What a killed process left, here or in a container, is no obstacle. */
async function hold(path: string): Promise<void> {
  const inUse = (by: string) =>
    new GoogLeNetError('GOOGLENET_ERR_INVALID_ARGUMENT', `${path} is in use: ${by} writes to it; choose another folder`)
  const lock = join(path, LOCK)
  if (held.has(resolve(path))) throw inUse('another run of this process')
  held.add(resolve(path))
  try {
    await claim(lock, inUse)
  } catch (error) {
    held.delete(resolve(path))
    throw error
  }
}

async function letGo(path: string): Promise<void> {
  await rm(join(path, LOCK), { force: true })
  held.delete(resolve(path))
}

async function claim(lock: string, inUse: (by: string) => Error): Promise<void> {
  for (;;) {
    try {
      return await writeFile(lock, `${process.pid} ${hostname()}`, { flag: 'wx' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        await rm(lock, { force: true }) // made, and then the disk was full
        throw writeFailure(lock, error)
      }
    }
    const [pid = '', host] = (await readFile(lock, 'utf8').catch(() => '')).split(' ')
    const last = await stat(lock).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    )
    const dead = host === hostname() && (Number(pid) === process.pid || !isAlive(Number(pid)))
    if (!dead && Date.now() - last < SILENCE) throw inUse(`process ${pid} on ${host}`)
    await rm(lock, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Drops the lines of metrics.jsonl that a run killed after its last checkpoint will write again. */
async function forget(path: string, { epoch, imagesSeen }: Resumed): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const lines = text.split('\n').filter((line) => line !== '')
  const kept = lines.filter((line) => {
    const entry = entryOf(line)
    return entry?.type === 'epoch' ? entry.epoch <= epoch : !entry || entry.imagesSeen <= imagesSeen
  })
  if (kept.length < lines.length) await writeFileAtomic(path, [Buffer.from(kept.map((line) => `${line}\n`).join(''))])
}

/** undefined for what no run has written. */
function entryOf(line: string): { type: string; epoch: number; imagesSeen: number } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

async function bringBest(from: string, to: string): Promise<void> {
  const source = join(from, 'best')
  const target = join(to, 'best')
  if (!existsSync(source) || existsSync(target)) return
  const partial = temporaryFor(target)
  try {
    await cp(source, partial, { recursive: true })
    await rename(partial, target)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw writeFailure(target, error)
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw writeFailure(path, error)
  }
}
