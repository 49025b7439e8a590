/**
 * The folder of a run: `last/checkpoint.safetensors` to resume from, `best/` with the best checkpoint and its model,
 * one JSON object a line in `metrics.jsonl`, and the resolved options in `config.json`.
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { GoogLeNet } from '../model/model.js'
import { loadCheckpoint, saveCheckpoint, saveModel, type TrainingState } from '../weights/checkpoint.js'
import { appendLines, writeFailure, writeFileAtomic } from '../weights/file.js'
import type { TensorMap } from '../weights/safetensors.js'

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
    return appendLines(join(this.path, 'metrics.jsonl'), [JSON.stringify(line)])
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
    if (kind === 'best') await saveModel(join(this.path, kind, MODEL), { weights: best, ...description })
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

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw writeFailure(path, error)
  }
}
