/** What a model computes in, and why. As with devices nothing falls back silently. */
import { GoogLeNetError } from './errors.js'
import type { ComputeDevice, Precision } from './native.js'
import { checkOneOf } from './options.js'

export const PRECISIONS = ['auto', 'f32', 'tf32', 'bf16'] as const

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
  return { precision, precisionReason: 'asked for' }
}
