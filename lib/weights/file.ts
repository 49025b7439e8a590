/**
 * The disk side of weights, logs and settings: reads in bounded pieces, and writes that either replace the old file
 * whole or leave it untouched (temporary file in the same folder, fsync, rename, fsync of the folder).
 * Nothing here knows a format; failures become GoogLeNetError with the system's error as `cause`.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, lstat, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GoogLeNetError } from '../errors.js'
import { throwIfAborted } from '../lifetime.js'

export interface IoOptions {
  /** Stops between two pieces of at most 4 MiB; a write then leaves the old file as it was. */
  signal?: AbortSignal | undefined
}

/** Small enough that an abort is answered at once, large enough that the disk, not the calls, sets the pace. */
const PIECE_BYTES = 4 << 20

/** The error for a file whose contents are not what its format demands. */
export function invalidFile(path: string, problem: string, cause?: unknown): GoogLeNetError {
  return new GoogLeNetError('GOOGLENET_ERR_INVALID_FILE', `${path}: ${problem}`, { cause })
}

/**
 * Opens `path` for the duration of `use`, which gets the handle and the size in bytes.
 *
 * @throws GOOGLENET_ERR_FILE_NOT_FOUND, or GOOGLENET_ERR_FILE_READ for a folder, missing permission or a failing disk
 */
export async function withFile<T>(path: string, use: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const stats = await file.stat()
    if (stats.isDirectory()) {
      throw new GoogLeNetError(
        'GOOGLENET_ERR_FILE_READ',
        `${path} is a folder: name the weight file inside it (.safetensors or .caffemodel)`,
      )
    }
    return await use(file, stats.size)
  } catch (error) {
    throw readFailure(path, error)
  } finally {
    await file?.close()
  }
}

/** @throws GOOGLENET_ERR_FILE_NOT_FOUND, GOOGLENET_ERR_FILE_READ */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw readFailure(path, error)
  }
}

/** Fills `target` from byte `position` on; a file that ends early is GOOGLENET_ERR_INVALID_FILE. */
export async function readFully(
  path: string,
  file: FileHandle,
  target: Uint8Array,
  position: number,
  { signal }: IoOptions = {},
): Promise<void> {
  for (let done = 0; done < target.byteLength; ) {
    throwIfAborted(signal)
    const want = Math.min(PIECE_BYTES, target.byteLength - done)
    const { bytesRead } = await file.read(target, done, want, position + done)
    if (bytesRead === 0) {
      throw invalidFile(path, `ends at byte ${position + done}, expected ${position + target.byteLength} bytes`)
    }
    done += bytesRead
  }
}

/**
 * Writes the concatenation of `chunks` to `path`, atomically: readers see the old file or the whole new one,
 * also after a power cut. A symbolic link keeps pointing where it did; its target is replaced. A device or pipe
 * cannot be replaced by a rename (that would destroy it), so it is written directly.
 *
 * @throws GOOGLENET_ERR_FILE_WRITE on a full disk, a missing folder, missing permission; AbortError on abort.
 *   In every such case the temporary file is gone and an older file at `path` is unchanged.
 */
export async function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { signal }: IoOptions = {},
): Promise<void> {
  throwIfAborted(signal)
  let temporary: string | undefined
  try {
    const { target, kind, mode } = await destination(path)
    if (kind === 'device') {
      await writeTo(await open(target, 'w'), chunks, { signal, sync: false })
      return
    }
    const folder = dirname(target)
    temporary = temporaryFor(target)
    await writeTo(await open(temporary, 'wx', mode), chunks, { signal, sync: true })
    throwIfAborted(signal)
    await rename(temporary, target)
    temporary = undefined
    await syncFolder(folder)
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => undefined)
    throw writeFailure(path, error)
  }
}

const temporaryPrefix = (path: string) => `.${basename(path).slice(0, 64)}.`

/** A new name beside `path` for what is renamed to it when it is whole. */
export function temporaryFor(path: string): string {
  return join(dirname(path), `${temporaryPrefix(path)}${process.pid}.${randomBytes(6).toString('hex')}.tmp`)
}

/** Removes what killed processes were writing for `path`; nobody else may be at it. */
export async function removeLeftovers(path: string): Promise<void> {
  for (const name of await readdir(dirname(path)).catch(() => []))
    if (name.startsWith(temporaryPrefix(path)) && /\.\d+\.[0-9a-f]{12}\.tmp$/.test(name))
      await rm(join(dirname(path), name), { recursive: true, force: true })
}

/** Adds all lines to a file or, on a full disk, none. @throws GOOGLENET_ERR_FILE_WRITE */
export async function appendLines(path: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return
  try {
    await using file = await open(path, 'a')
    const { size } = await file.stat()
    try {
      await file.appendFile(`${lines.join('\n')}\n`)
    } catch (error) {
      await file.truncate(size).catch(() => undefined)
      throw error
    }
  } catch (error) {
    throw writeFailure(path, error)
  }
}

async function destination(path: string): Promise<{ target: string; kind: 'file' | 'device'; mode: number }> {
  try {
    const target = await realpath(path)
    const stats = await lstat(target)
    if (stats.isDirectory()) {
      throw new GoogLeNetError('GOOGLENET_ERR_FILE_WRITE', `${path} is a folder: name a file inside it`)
    }
    return { target, kind: stats.isFile() ? 'file' : 'device', mode: stats.mode & 0o777 }
  } catch (error) {
    // A new file; a missing folder is reported when the temporary file is opened.
    if (systemCode(error) === 'ENOENT') return { target: path, kind: 'file', mode: 0o666 }
    throw error
  }
}

async function writeTo(
  file: FileHandle,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { signal, sync }: IoOptions & { sync: boolean },
): Promise<void> {
  try {
    for await (const chunk of chunks) {
      for (let done = 0; done < chunk.byteLength; ) {
        throwIfAborted(signal)
        // A nearly full disk may take a part only; the next call then reports ENOSPC.
        const { bytesWritten } = await file.write(chunk, done, Math.min(PIECE_BYTES, chunk.byteLength - done))
        done += bytesWritten
      }
    }
    if (sync) await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the rename itself durable. Some systems cannot sync a folder; the file's own data is safe by then. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    await handle.sync().finally(() => handle.close())
  } catch {}
}

function systemCode(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return syscall === undefined ? undefined : code
}

function readFailure(path: string, error: unknown): unknown {
  const code = systemCode(error)
  if (code === undefined) return error
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `${path}: no such file; check the path (relative paths start at ${process.cwd()})`
    return new GoogLeNetError('GOOGLENET_ERR_FILE_NOT_FOUND', message, { cause: error })
  }
  const reason = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : (error as Error).message
  return new GoogLeNetError('GOOGLENET_ERR_FILE_READ', `${path}: cannot be read: ${reason}`, { cause: error })
}

const WRITE_ADVICE: Record<string, string> = {
  ENOSPC: 'the disk is full; free some space or choose another folder',
  EDQUOT: 'the disk quota is used up; free some space or choose another folder',
  EFBIG: 'the file is larger than this file system or process may write',
  EACCES: 'permission denied; choose a folder you may write to',
  EPERM: 'permission denied; choose a folder you may write to',
  EROFS: 'the file system is read-only; choose another folder',
  ENOENT: 'its folder does not exist; create it first',
  ENOTDIR: 'a part of the path is a file, not a folder',
}

/** The typed error for a failed system call of writing, with advice; other errors as they are. */
export function writeFailure(path: string, error: unknown): unknown {
  const code = systemCode(error)
  if (code === undefined) return error
  const reason = WRITE_ADVICE[code] ?? (error as Error).message
  const message = `${path}: cannot be written: ${reason}. Nothing was changed.`
  return new GoogLeNetError('GOOGLENET_ERR_FILE_WRITE', message, { cause: error })
}
