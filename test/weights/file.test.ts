/** The disk side: missing files, full disk, no permission, abort; never a half-written or left-over file. */
import { constants } from 'node:fs'
import {
  access,
  chmod,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { writeFileAtomic } from '../../lib/weights/file.js'
import { readSafetensors, writeSafetensors } from '../../lib/weights/safetensors.js'
import { expectError, tensor, useTemporaryFolder } from './helpers.js'

const folder = useTemporaryFolder()
const file = (name = 'w.safetensors') => join(folder(), name)
const weights = new Map([['a', tensor([64])]])
const fullDevice = await access('/dev/full', constants.W_OK).then(
  () => true,
  () => false,
)

afterEach(() => {
  vi.restoreAllMocks()
})

/** Makes every FileHandle's `method` fail like the system would. */
async function failOn(method: 'write' | 'sync', code: string): Promise<void> {
  await writeFile(file('probe'), '')
  const probe = await open(file('probe'))
  const prototype = Object.getPrototypeOf(probe) as FileHandle
  await probe.close()
  const error = Object.assign(new Error(`${code}: simulated`), { code, syscall: method })
  vi.spyOn(prototype, method).mockRejectedValue(error)
}

describe('reading', () => {
  it('a missing file', async () => {
    await expectError(readSafetensors(file()), 'FILE_NOT_FOUND', /w\.safetensors: no such file/)
  })
  it('a file used as a folder', async () => {
    await writeFile(file('plain'), '')
    await expectError(readSafetensors(file('plain/w.safetensors')), 'FILE_NOT_FOUND', /no such file/)
  })
  it('a folder', async () => {
    await expectError(readSafetensors(folder()), 'FILE_READ', /is a folder/)
  })
  it('a failing disk keeps the cause', async () => {
    await writeSafetensors(file(), weights)
    const handle = await open(file())
    const error = Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'read' })
    vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'read').mockRejectedValue(error)
    const failure = await expectError(readSafetensors(file()), 'FILE_READ', /EIO/)
    expect(failure.cause).toBe(error)
    await handle.close()
  })
  it('abort before the start', async () => {
    await writeSafetensors(file(), weights)
    const promise = readSafetensors(file(), { signal: AbortSignal.abort() })
    await expect(promise).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('writing', () => {
  it.each([
    ['write', 'ENOSPC', /disk is full/],
    ['sync', 'ENOSPC', /disk is full/],
    ['write', 'EDQUOT', /quota/],
  ] as const)('%s fails with %s: the old file stays, nothing is left over', async (method, code, message) => {
    await writeFile(file(), 'old')
    await failOn(method, code)
    await expectError(writeSafetensors(file(), weights), 'FILE_WRITE', message)
    expect(await readFile(file(), 'utf8')).toBe('old')
    expect((await readdir(folder())).sort()).toEqual(['probe', 'w.safetensors'])
  })

  it.skipIf(!fullDevice)('a really full device (skipped where /dev/full is absent)', async () => {
    await expectError(writeSafetensors('/dev/full', weights), 'FILE_WRITE', /disk is full/)
    expect((await stat('/dev/full')).isCharacterDevice()).toBe(true)
  })

  it('a folder that does not exist', async () => {
    await expectError(writeSafetensors(file('no/w'), weights), 'FILE_WRITE', /folder does not exist/)
  })
  it('a file used as a folder', async () => {
    await writeFile(file('plain'), '')
    await expectError(writeSafetensors(file('plain/w'), weights), 'FILE_WRITE', /is a file, not a folder/)
  })
  it('a folder', async () => {
    await expectError(writeSafetensors(folder(), weights), 'FILE_WRITE', /is a folder/)
    expect(await readdir(folder())).toEqual([])
  })
  it.skipIf(process.getuid?.() === 0)('no permission (skipped for root, whom permissions do not stop)', async () => {
    await mkdir(file('locked'))
    await chmod(file('locked'), 0o500)
    await expectError(writeSafetensors(file('locked/w'), weights), 'FILE_WRITE', /permission denied/)
  })

  it('abort in the middle: the old file stays, nothing is left over', async () => {
    await writeFile(file(), 'old')
    const controller = new AbortController()
    async function* chunks() {
      yield Buffer.from('first')
      controller.abort()
      yield Buffer.from('second')
    }
    const promise = writeFileAtomic(file(), chunks(), { signal: controller.signal })
    await expect(promise).rejects.toMatchObject({ name: 'AbortError' })
    expect(await readFile(file(), 'utf8')).toBe('old')
    expect(await readdir(folder())).toEqual(['w.safetensors'])
  })

  it('an error of the producer is passed on, nothing is left over', async () => {
    async function* chunks() {
      yield Buffer.from('first')
      throw new RangeError('producer')
    }
    await expect(writeFileAtomic(file(), chunks())).rejects.toThrow(RangeError)
    expect(await readdir(folder())).toEqual([])
  })

  it('continues after a partial write', async () => {
    const handle = await open(file('probe'), 'w')
    const prototype = Object.getPrototypeOf(handle) as FileHandle
    await handle.close()
    const write = prototype.write as (buffer: Uint8Array, offset: number, length: number) => Promise<unknown>
    vi.spyOn(prototype, 'write').mockImplementation(function (this: FileHandle, ...args: unknown[]) {
      const [buffer, offset, length] = args as [Uint8Array, number, number]
      return write.call(this, buffer, offset, Math.min(length, 3)) as never
    } as never)
    await writeFileAtomic(file(), [Buffer.from('0123456789')])
    expect(await readFile(file(), 'utf8')).toBe('0123456789')
  })

  it('replaces the target of a link and keeps its mode', async () => {
    await writeFile(file('real'), 'old', { mode: 0o600 })
    await symlink('real', file('link'))
    await writeFileAtomic(file('link'), [Buffer.from('new')])
    expect(await readFile(file('real'), 'utf8')).toBe('new')
    expect((await stat(file('real'))).mode & 0o777).toBe(0o600)
    expect((await readdir(folder())).sort()).toEqual(['link', 'real'])
  })

  it('two writers at once leave one whole file', async () => {
    await Promise.all([1, 2, 3].map((value) => writeSafetensors(file(), new Map([['a', tensor([4096], () => value)]]))))
    const data = (await readSafetensors(file())).tensors.get('a')?.data
    expect(new Set(data).size).toBe(1)
    expect(await readdir(folder())).toEqual(['w.safetensors'])
  })
})
