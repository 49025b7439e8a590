/**
 * Ends of things: aborting a call with an AbortSignal, and using an object that was disposed of. Heavy calls take
 * `{ signal }`, reject at once when it is already aborted and stop at the next step otherwise.
 */
import { AbortError, fromNative, GoogLeNetError } from './errors.js'
import type { NativeCancel } from './native.js'
import { native } from './native.js'
import { invalid } from './options.js'

export function abortError(signal?: AbortSignal): AbortError {
  return new AbortError(signal?.reason)
}

/** Of any realm, or what stands in for one. @throws GOOGLENET_ERR_INVALID_ARGUMENT */
export function checkSignal(signal: unknown): void {
  if (signal === undefined) return
  const { aborted, addEventListener } = Object(signal) as Partial<AbortSignal>
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function')
    throw invalid('signal', 'an AbortSignal', signal)
}

export function throwIfAborted(signal?: AbortSignal): void {
  checkSignal(signal)
  if (signal?.aborted) throw abortError(signal)
}

/** The calls that a signal cancels: one listener serves them all, since Node warns of a leak at eleven. */
class Linked {
  readonly cancels = new Set<NativeCancel>()
  readonly abort = () => this.cancels.forEach((cancel) => void cancel.cancel())
}
const linked = new WeakMap<AbortSignal, Linked>()

/** Returns what ends the link. */
function link(signal: AbortSignal, cancel: NativeCancel): () => void {
  const calls = linked.get(signal) ?? new Linked()
  linked.set(signal, calls)
  calls.cancels.add(cancel)
  if (calls.cancels.size === 1) signal.addEventListener('abort', calls.abort)
  return () => {
    calls.cancels.delete(cancel)
    if (calls.cancels.size === 0) signal.removeEventListener('abort', calls.abort)
  }
}

/**
 * Runs one native call with the signal linked to a cancel handle, and rewraps what it throws. Without a signal no
 * handle is made. The link is gone when the promise returned settles.
 */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  call: (cancel?: NativeCancel) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal)
  const cancel = signal && new (native().Cancel)()
  const unlink = signal && cancel && link(signal, cancel)
  try {
    return await call(cancel)
  } catch (error) {
    throw fromNative(error, signal)
  } finally {
    unlink?.()
  }
}

/** Makes dispose() idempotent and later use an error that names the object. */
export class DisposeGuard {
  #ending: Promise<void> | undefined

  constructor(
    private readonly what: string,
    private readonly release: () => Promise<void>,
  ) {}

  get disposed(): boolean {
    return this.#ending !== undefined
  }

  check(): void {
    if (!this.disposed) return
    throw new GoogLeNetError('GOOGLENET_ERR_DISPOSED', `this ${this.what} was disposed of and cannot be used any more`)
  }

  /** The same promise each time; it settles once what still runs has ended. */
  dispose(): Promise<void> {
    this.#ending ??= this.release()
    return this.#ending
  }
}
