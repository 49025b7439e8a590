/**
 * What was measured of a network's activations so that it can compute in int8, and how a weight file holds it: two
 * tensors a blob, `calibration/<blob>.range` (1) and `calibration/<blob>.mean` (C), beside the weights, and in the
 * metadata how they came about.
 */
import { z } from 'zod'
import { METHODS, type RangeChoice } from '../model/ranges.js'
import type { BlobCalibration } from '../native.js'
import { invalidFile } from './file.js'
import type { Tensor, TensorMap } from './safetensors.js'

export interface Calibration extends RangeChoice {
  /** Images it was measured on. */
  readonly images: number
  readonly blobs: ReadonlyMap<string, Readonly<BlobCalibration>>
}

/** The metadata's part. */
export type CalibrationOrigin = Omit<Calibration, 'blobs'>
export const calibrationSchema: z.ZodType<CalibrationOrigin> = z.looseObject({
  method: z.enum(METHODS),
  percentile: z.number().optional(),
  images: z.int().min(1),
})

const PREFIX = 'calibration/'

export function calibrationTensors({ blobs }: Calibration): TensorMap {
  const tensors: TensorMap = new Map()
  for (const [blob, { range, mean }] of blobs) {
    tensors.set(`${PREFIX}${blob}.range`, { shape: [1], data: Float32Array.of(range) })
    tensors.set(`${PREFIX}${blob}.mean`, { shape: [mean.length], data: mean })
  }
  return tensors
}

/** The weights of a file without the calibration's tensors, and what those say. @throws GOOGLENET_ERR_INVALID_FILE */
export function splitCalibration(
  path: string,
  tensors: TensorMap,
  origin: CalibrationOrigin | undefined,
): { weights: TensorMap; calibration?: Calibration } {
  if (!origin) return { weights: tensors }
  const weights: TensorMap = new Map()
  const measured: TensorMap = new Map()
  for (const [name, tensor] of tensors) {
    if (name.startsWith(PREFIX)) measured.set(name.slice(PREFIX.length), tensor)
    else weights.set(name, tensor)
  }
  const names = [...measured.keys()].map((name) => name.replace(/\.(range|mean)$/, ''))
  const blobs = new Map([...new Set(names)].map((blob) => [blob, read(path, blob, measured)] as const))
  return { weights, calibration: { ...origin, blobs } }
}

function read(path: string, blob: string, tensors: TensorMap): BlobCalibration {
  const tensor = (part: string, fits: (tensor: Tensor) => boolean, expected: string) => {
    const found = tensors.get(`${blob}.${part}`)
    if (found && fits(found) && found.data.every(Number.isFinite)) return found.data
    const got = found ? `[${found.shape}] ${found.data.subarray(0, 4).join(', ')}` : 'none'
    throw invalidFile(path, `${PREFIX}${blob}.${part}: expected ${expected}, got ${got}`)
  }
  const range = tensor('range', ({ shape, data }) => `${shape}` === '1' && data[0]! > 0, 'one value above 0')[0]!
  return { range, mean: tensor('mean', ({ shape }) => shape.length === 1, 'the means of its channels') }
}
