/**
 * The folder of a run: `last/checkpoint.safetensors` to resume from, `best/` with the best checkpoint and its model,
 * one JSON object a line in `metrics.jsonl`, and the resolved options in `config.json`.
 */
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GoogLeNetError } from '../errors.js'
import type { GoogLeNet } from '../model/model.js'
import { loadCheckpoint, saveCheckpoint, saveModel, type TrainingState } from '../weights/checkpoint.js'

const CHECKPOINT = 'checkpoint.safetensors'
const MODEL = 'model.safetensors'

export class RunFolder {
  private constructor(readonly path: string) {}

  /** Makes the folder. A new run starts a new metrics.jsonl, a resumed one goes on with the old. */
  static async open(path: string, config: object, resumed: boolean): Promise<RunFolder> {
    const folder = new RunFolder(path)
    await writing(path, () => mkdir(path, { recursive: true }))
    await writing(path, () => writeFile(join(path, 'config.json'), `${JSON.stringify(config, null, 2)}\n`))
    if (!resumed) await writing(path, () => writeFile(join(path, 'metrics.jsonl'), ''))
    return folder
  }

  async log(line: object): Promise<void> {
    const path = join(this.path, 'metrics.jsonl')
    await writing(path, () => appendFile(path, `${JSON.stringify(line)}\n`))
  }

  /** Returns the checkpoint's path. 'best' also writes the model alone, for those who only predict. */
  async save(kind: 'last' | 'best', model: GoogLeNet, state: TrainingState): Promise<string> {
    const path = join(this.path, kind, CHECKPOINT)
    await writing(path, () => mkdir(dirname(path), { recursive: true }))
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

async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (cause) {
    throw new GoogLeNetError('GOOGLENET_ERR_FILE_WRITE', `cannot write ${path}: ${(cause as Error).message}`, { cause })
  }
}
