/** What a model computes in, and why. As with devices nothing falls back silently. */
import { GoogLeNetError } from './errors.js'
import type { ComputeDevice, Precision } from './native.js'
import { checkOneOf } from './options.js'

export const PRECISIONS = ['auto', 'f32', 'tf32', 'bf16', 'int8'] as const

export interface PrecisionChoice {
  precision: Precision
  /** Why this precision: what was asked for, or what speaks against another. */
  precisionReason: string
}

const AUTO = "'auto' is f32, which differs from device to device by rounding alone"

/** @throws GOOGLENET_ERR_UNSUPPORTED, GOOGLENET_ERR_INVALID_ARGUMENT */
export function choosePrecision(
  wanted: (typeof PRECISIONS)[number] = 'auto',
  device: ComputeDevice,
  exact: boolean,
): PrecisionChoice {
  const precision = checkOneOf('precision', wanted, PRECISIONS)
  if (precision === 'auto') return { precision: 'f32', precisionReason: AUTO }
  if (precision !== 'f32' && exact) {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_INVALID_ARGUMENT',
      `exact: true asks for the smallest rounding errors, precision '${precision}' for larger ones: use one of them`,
    )
  }
  if (precision === 'tf32' && device === 'cpu') {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_UNSUPPORTED',
      `precision 'tf32' is not supported on device 'cpu': it is what tensor cores of GPUs compute in. Use precision 'f32' or 'bf16', or device 'cuda'`,
    )
  }
  if (precision === 'int8' && device !== 'cpu') {
    throw new GoogLeNetError(
      'GOOGLENET_ERR_UNSUPPORTED',
      `precision 'int8' is not supported on device '${device}', only on 'cpu'. Use device 'cpu', or precision 'bf16' or 'tf32'`,
    )
  }
  return { precision, precisionReason: 'asked for' }
}

/** What int8 is not for: `what` would change weights, of which the kernels hold rounded copies with measured ranges.
 *  @throws GOOGLENET_ERR_UNSUPPORTED */
export function refuseInt8(precision: Precision, what: string): void {
  if (precision !== 'int8') return
  throw new GoogLeNetError(
    'GOOGLENET_ERR_UNSUPPORTED',
    `${what} is not supported with precision 'int8', which is for inference: load the file with precision 'f32' or 'bf16' (and calibrate again afterwards)`,
  )
}

/** How a calibrated file comes about, for those who lack one. @throws GOOGLENET_ERR_UNSUPPORTED */
export function requireCalibration(calibration: unknown, whose: string): void {
  if (calibration) return
  throw new GoogLeNetError(
    'GOOGLENET_ERR_UNSUPPORTED',
    `precision 'int8' needs to know the ranges of activations, and ${whose}. Make a file that has them: ` +
      "'googlenet quantize --weights F --data DIR --output F', or model.calibrate(images) and model.save(path) of a model in f32",
  )
}
