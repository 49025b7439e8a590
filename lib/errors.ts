/**
 * The errors users meet: one class, told apart by a literal `code` that is the contract (messages may change).
 * The codes come from native/core/errors.def, so both languages share one list. Aborting is not among them in
 * JavaScript: it is reported the way Node does, as an AbortError with code ABORT_ERR.
 */
import type { errorCodes } from './error-codes.js'

/** `GOOGLENET_ERR_…`; native/core/errors.def lists them with their meaning. */
export type ErrorCode = keyof typeof errorCodes

/** Says what was expected, what came and what to do. `cause` is kept where there is one. */
export class GoogLeNetError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'GoogLeNetError'
    this.code = code
  }
}

/** Node's shape of an abort: name AbortError, code ABORT_ERR, `cause` = signal.reason. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR'

  constructor(reason?: unknown) {
    super('the operation was aborted', { cause: reason })
    this.name = 'AbortError'
  }
}

/**
 * Gives an error of the addon its class and a JavaScript stack. Anything that is no error of ours is returned as it
 * came, so that a `catch` can rethrow the result without looking at it.
 */
export function fromNative(error: unknown, signal?: AbortSignal): unknown {
  if (error instanceof GoogLeNetError || error instanceof AbortError || !(error instanceof Error)) return error
  const code: unknown = (error as { code?: unknown }).code
  if (code === 'GOOGLENET_ERR_ABORTED') return new AbortError(signal?.reason)
  if (typeof code !== 'string' || !code.startsWith('GOOGLENET_ERR_')) return error
  return new GoogLeNetError(code as ErrorCode, error.message, { cause: error })
}
