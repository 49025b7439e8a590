/**
 * The folder of a run: `last/checkpoint.safetensors` to resume from, `best/` with the best checkpoint and its model,
 * one JSON object a line in `metrics.jsonl`, and the resolved options in `config.json`.
 */
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { GoogLeNet } from '../model/model.js'
import { loadCheckpoint, saveCheckpoint, saveModel, type TrainingState } from '../weights/checkpoint.js'
import { writeFailure, writeFileAtomic } from '../weights/file.js'

const CHECKPOINT = 'checkpoint.safetensors'
const MODEL = 'model.safetensors'

export class RunFolder {
  private constructor(readonly path: string) {}

  /** Makes the folder. A new run starts a new metrics.jsonl, a resumed one goes on with the old. */
  static async open(path: string, config: object, resumed: boolean): Promise<RunFolder> {
    const folder = new RunFolder(path)
    await makeFolder(path)
    await writeFileAtomic(join(path, 'config.json'), [Buffer.from(`${JSON.stringify(config, null, 2)}\n`)])
    if (!resumed) await writeFileAtomic(join(path, 'metrics.jsonl'), [])
    return folder
  }

  log(line: object): Promise<void> {
    return appendLine(join(this.path, 'metrics.jsonl'), JSON.stringify(line))
  }

  /** Returns the checkpoint's path. 'best' also writes the model alone, for those who only predict. */
  async save(kind: 'last' | 'best', model: GoogLeNet, state: TrainingState): Promise<string> {
    const path = join(this.path, kind, CHECKPOINT)
    await makeFolder(dirname(path))
    const weights = await model.parameters('weights')
    const momentum = await model.parameters('momentum')
    const description = model.description()
    await saveCheckpoint(path, { weights, momentum, state, ...description })
    if (kind === 'best') await saveModel(join(this.path, kind, MODEL), { weights, ...description })
    return path
  }
}

/** The checkpoint of a run to go on with: a run's folder, or the file itself. */
export function lastCheckpoint(path: string): string {
  return path.endsWith('.safetensors') ? path : join(path, 'last', CHECKPOINT)
}

export function loadLast(path: string, signal?: AbortSignal) {
  return loadCheckpoint(lastCheckpoint(path), { signal })
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw writeFailure(path, error)
  }
}

/** Adds the whole line or, on a full disk, nothing. */
async function appendLine(path: string, line: string): Promise<void> {
  try {
    await using file = await open(path, 'a')
    const { size } = await file.stat()
    try {
      await file.appendFile(`${line}\n`)
    } catch (error) {
      await file.truncate(size).catch(() => undefined)
      throw error
    }
  } catch (error) {
    throw writeFailure(path, error)
  }
}
