/**
 * Ends of things: aborting a call with an AbortSignal, and using an object that was disposed of. Heavy calls take
 * `{ signal }`, reject at once when it is already aborted and stop at the next step otherwise.
 */
import { AbortError, fromNative, GoogLeNetError } from './errors.js'
import type { NativeCancel } from './native.js'
import { native } from './native.js'

export function abortError(signal?: AbortSignal): AbortError {
  return new AbortError(signal?.reason)
}

export function throwIfAborted(signal?: AbortSignal): void {
  if (signal?.aborted) throw abortError(signal)
}

/** The calls that a signal cancels: one listener serves them all, since Node warns of a leak at eleven. */
const calls = new WeakMap<AbortSignal, Set<NativeCancel>>()
function cancelAll(this: AbortSignal) {
  for (const cancel of calls.get(this) ?? []) cancel.cancel()
}
function link(signal: AbortSignal, cancel: NativeCancel): void {
  const linked = calls.get(signal) ?? new Set()
  calls.set(signal, linked.add(cancel))
  if (linked.size === 1) signal.addEventListener('abort', cancelAll)
}
function unlink(signal: AbortSignal, cancel: NativeCancel): void {
  const linked = calls.get(signal)
  if (linked?.delete(cancel) && linked.size === 0) signal.removeEventListener('abort', cancelAll)
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
  if (signal && cancel) link(signal, cancel)
  try {
    return await call(cancel)
  } catch (error) {
    throw fromNative(error, signal)
  } finally {
    if (signal && cancel) unlink(signal, cancel)
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
