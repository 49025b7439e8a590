// Batches: the same whatever threads, prefetch and timing; full in spite of skips; resumable; stoppable.
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { policies } from '../../lib/data/augment.js'
import { ImageFolder } from '../../lib/data/dataset.js'
import { type LoadedBatch, Loader, type LoaderOptions, type LoaderSource } from '../../lib/data/loader.js'
import { native } from '../../lib/native.js'
import { failure, jpeg, photo, put, temporaryFolder } from './fixtures.js'

const size = 24
// Red on the left, nothing on the right.
const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="50" height="40"><rect width="20" height="40" fill="red"/></svg>'
const policy = policies.inception({ size })
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let clean: ImageFolder // 23 JPEGs
let mixed: ImageFolder // JPEG, PNG, WebP, SVG, and files that are none

beforeAll(async () => {
  folder = await temporaryFolder()
  for (let i = 0; i < 23; i++) {
    const [width, height] = [30 + 7 * i, 90 - 2 * i]
    await put(folder.path, `clean/${'ab'[i % 2]}/${String(i).padStart(2, '0')}.jpg`, await jpeg(width, height, i))
  }
  for (let i = 0; i < 30; i++) {
    const image = photo(40 + i, 60, i)
    const name = `mixed/${'abc'[i % 3]}/${String(i).padStart(2, '0')}`
    if (i % 10 === 3) await put(folder.path, `${name}.png`, await image.png().toBuffer())
    else if (i % 10 === 6) await put(folder.path, `${name}.webp`, await image.webp().toBuffer())
    else if (i === 9) await put(folder.path, `${name}.jpg`, (await image.jpeg().toBuffer()).subarray(0, 700))
    else if (i === 14) await put(folder.path, `${name}.jpg`, 'this is a text file\n')
    else if (i === 15) await put(folder.path, `${name}.jpg`, '')
    else if (i === 20) await put(folder.path, `${name}.svg`, svg)
    else await put(folder.path, `${name}.jpg`, await image.jpeg().toBuffer())
  }
  clean = await ImageFolder.open(join(folder.path, 'clean'))
  mixed = await ImageFolder.open(join(folder.path, 'mixed'))
})
afterAll(() => folder.remove())

const bad = ['09.jpg', '14.jpg', '15.jpg']
const name = (path: string) => path.slice(-6)

async function collect(
  data: LoaderSource,
  options: Partial<LoaderOptions> = {},
  epoch = 0,
  position = 0,
): Promise<LoadedBatch[]> {
  await using loader = new Loader(data, { batchSize: 4, policy, seed: 9, threads: 2, ...options })
  const batches: LoadedBatch[] = []
  for await (const batch of loader.epoch(epoch, { position })) batches.push(batch)
  return batches
}
const all = (batches: LoadedBatch[], pick: (batch: LoadedBatch) => Int32Array) => batches.flatMap((b) => [...pick(b)])
const floats = (batches: LoadedBatch[]) =>
  Buffer.concat(batches.map(({ images: i }) => Buffer.from(i.buffer, i.byteOffset, i.byteLength)))
const difference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0)
const same = (a: LoadedBatch[], b: LoadedBatch[]) => {
  expect(all(a, (x) => x.indices)).toEqual(all(b, (x) => x.indices))
  expect(all(a, (x) => x.labels)).toEqual(all(b, (x) => x.labels))
  expect(Buffer.compare(floats(a), floats(b))).toBe(0)
}

describe('batches', () => {
  test('hold each sample once, in the order of the epoch, with its label', async () => {
    const batches = await collect(clean)
    expect(batches.map(({ count }) => count)).toEqual([4, 4, 4, 4, 4, 3])
    expect(batches.map(({ position }) => position)).toEqual([4, 8, 12, 16, 20, 23])
    expect(all(batches, (b) => b.indices)).toEqual([...clean.order(9, 0)])
    for (const { images, count, labels, indices, skipped, epoch } of batches) {
      expect(images.length).toBe(count * 3 * size * size)
      expect([...labels]).toEqual([...indices].map((index) => clean.samples[index]?.label))
      expect([skipped, epoch]).toEqual([[], 0])
    }
  })

  test('without shuffle: the order of the data set; dropLast: full ones only', async () => {
    const batches = await collect(clean, { shuffle: false, dropLast: true })
    expect(all(batches, (b) => b.indices)).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(new Loader(clean, { batchSize: 4, policy, dropLast: true }).batches).toBe(5)
    expect(new Loader(clean, { batchSize: 4, policy }).batches).toBe(6)
  })

  test('are what augment makes of the decoded file: skipping rows and columns changes nothing', async () => {
    // Shrunk decoding would be another function; a size above half of the photos excludes it.
    const wide = policies.inception({ size: 96 })
    for (const batch of await collect(clean, { policy: wide }))
      for (const [i, index] of batch.indices.entries()) {
        const image = await native().decodeJpeg(await readFile(clean.samples[index]?.path ?? ''))
        const length = 3 * 96 * 96
        const ours = await native().augment(image, wide, 9, 0, index)
        expect(difference(batch.images.subarray(i * length, (i + 1) * length), ours)).toBe(0)
      }
  })

  test.each([
    { threads: 1 },
    { threads: 5, prefetch: 1 },
    { batchSize: 1, prefetch: 10 },
    { batchSize: 7 },
    { batchSize: 100 },
  ])('do not depend on %j', async (options) => {
    same(await collect(clean, options), await collect(clean))
    same(await collect(mixed, options), await collect(mixed))
  })

  test('an image does not depend on the order', async () => {
    const shuffled = await collect(clean, { batchSize: 1 })
    const sorted = await collect(clean, { batchSize: 1, shuffle: false })
    shuffled.sort((a, b) => (a.indices[0] as number) - (b.indices[0] as number))
    same(shuffled, sorted)
  })

  test('differ from epoch to epoch and from seed to seed', async () => {
    const base = floats(await collect(clean, { shuffle: false }))
    expect(Buffer.compare(base, floats(await collect(clean, { shuffle: false }, 1)))).not.toBe(0)
    expect(Buffer.compare(base, floats(await collect(clean, { shuffle: false, seed: 10 })))).not.toBe(0)
    expect(all(await collect(clean, {}, 1), (b) => b.indices)).toEqual([...clean.order(9, 1)])
  })
})

describe('mixed formats and bad files', () => {
  test('PNG, WebP and SVG keep their place; what cannot be decoded is named and passed over', async () => {
    const batches = await collect(mixed)
    const order = [...mixed.order(9, 0)].filter((i) => !bad.includes(name(mixed.samples[i]?.path ?? '')))
    expect(all(batches, (b) => b.indices)).toEqual(order)
    expect(batches.map(({ count }) => count)).toEqual([4, 4, 4, 4, 4, 4, 3])
    const skipped = batches.flatMap((batch) => batch.skipped)
    expect(skipped.map(({ path }) => name(path)).sort()).toEqual(bad)
    const by = (file: string) => skipped.find(({ path }) => name(path) === file)?.message
    expect(by('15.jpg')).toBe('the file is empty')
    expect(by('14.jpg')).toContain('not a JPEG: it begins with 74 68 69 73')
    expect(by('09.jpg')).toMatch(/premature|corrupt/i)
    for (const { path, index, code } of skipped) {
      expect(mixed.samples[index]?.path).toBe(path)
      expect(code).toBe('GOOGLENET_ERR_IMAGE_DECODE')
    }
    expect(batches.at(-1)?.position).toBe(30)
  })

  test.each([
    ['of JPEGs', () => clean],
    ['of other formats between them', () => mixed],
  ])('released as soon as they are used, batches %s are the same', async (_, source) => {
    const kept = await collect(source())
    await using loader = new Loader(source(), { batchSize: 4, policy, seed: 9, threads: 2 })
    let at = 0
    for await (const batch of loader) {
      expect(Buffer.compare(floats([batch]), floats([kept[at++]!]))).toBe(0)
      const whole = batch.images.byteLength === batch.images.buffer.byteLength
      batch.release()
      batch.release()
      expect(batch.images.length === 0).toBe(whole)
    }
    expect(at).toBe(kept.length)
  })

  test('transparent pixels lie on white', async () => {
    const index = mixed.samples.findIndex(({ path }) => path.endsWith('.svg'))
    const still = policies.evaluate({ size, mode: 'none', mean: [0, 0, 0] })
    const batches = await collect({ samples: [mixed.samples[index] as never], order: () => [0] }, { policy: still })
    const { images } = batches[0] as LoadedBatch
    const at = (x: number, c: number) => images[c * size * size + x]
    expect([at(0, 0), at(0, 1), at(0, 2)]).toEqual([0, 0, 255])
    expect([at(size - 1, 0), at(size - 1, 1), at(size - 1, 2)]).toEqual([255, 255, 255])
  })

  test('a file that is gone is skipped as such', async () => {
    const path = mixed.samples[0]?.path ?? ''
    await rename(path, `${path}.away`)
    try {
      const [first] = await collect(mixed, { shuffle: false })
      expect(first?.skipped[0]).toMatchObject({ path, index: 0, code: 'GOOGLENET_ERR_FILE_NOT_FOUND' })
      expect(first?.count).toBe(4)
    } finally {
      await rename(`${path}.away`, path)
    }
  })

  test('strict: the first one is an error with its name', async () => {
    const error = await failure(() => collect(mixed, { strict: true }))
    expect(error.code).toBe('GOOGLENET_ERR_IMAGE_DECODE')
    expect(bad.some((file) => error.message.includes(file))).toBe(true)
  })

  test('nothing but bad files: an error, not an endless loop', async () => {
    const samples = mixed.samples.filter(({ path }) => bad.includes(name(path)))
    const source = { samples, order: () => [0, 1, 2] }
    const error = await failure(() => collect(source))
    expect(error.code).toBe('GOOGLENET_ERR_DATASET_EMPTY')
    expect(error.message).toContain('none of the 3 images')
    expect((await failure(() => collect({ samples: [], order: () => [] }))).code).toBe('GOOGLENET_ERR_DATASET_EMPTY')
  })

  test('counts what it skipped', async () => {
    const loader = new Loader(mixed, { batchSize: 8, policy })
    for await (const _ of loader);
    for await (const _ of loader.epoch(1));
    expect(loader.skippedCount).toBe(6)
    expect(loader.waitMs).toBeGreaterThan(0)
  })
})

describe('resume', () => {
  test.each(['clean', 'mixed'] as const)('from any position gives the same batches (%s)', async (which) => {
    const data = which === 'clean' ? clean : mixed
    const whole = await collect(data, {}, 3)
    for (const [i, { position }] of whole.slice(0, -1).entries())
      same(await collect(data, { prefetch: 1 + (i % 3) }, 3, position), whole.slice(i + 1))
    expect(await collect(data, {}, 3, data.length)).toEqual([])
  })
})

describe('ending early', () => {
  test('leaving the loop ends the decoding', async () => {
    const loader = new Loader(clean, { batchSize: 2, policy })
    for await (const batch of loader) if (batch.position >= 4) break
    const again: number[] = []
    for await (const batch of loader) again.push(...batch.indices)
    expect(again).toEqual([...clean.order(0, 0)])
  })

  test('abort: before, between and while waiting', async () => {
    const loader = new Loader(mixed, { batchSize: 4, policy })
    const iterate = async (signal: AbortSignal, each?: () => void) => {
      for await (const _ of loader.epoch(0, { signal })) each?.()
    }
    const expected = { name: 'AbortError', code: 'ABORT_ERR' }
    expect(await failure(() => iterate(AbortSignal.abort()))).toMatchObject(expected)
    const between = new AbortController()
    expect(await failure(() => iterate(between.signal, () => between.abort()))).toMatchObject(expected)
    const waiting = new AbortController()
    setImmediate(() => waiting.abort())
    expect(await failure(() => iterate(waiting.signal))).toMatchObject(expected)
    let batches = 0
    await iterate(new AbortController().signal, () => batches++)
    expect(batches).toBe(7)
  })

  test('dispose while running rejects with DISPOSED, and later use too', async () => {
    const loader = new Loader(clean, { batchSize: 4, policy })
    const iterator = loader.epoch(0)
    await iterator.next()
    const waiting = failure(async () => {
      while (!(await iterator.next()).done);
    })
    await loader.dispose()
    await loader.dispose()
    expect((await waiting).code).toBe('GOOGLENET_ERR_DISPOSED')
    expect((await failure(() => loader.epoch(0).next())).code).toBe('GOOGLENET_ERR_DISPOSED')
  })
})

describe('options', () => {
  test.each([{ batchSize: 0 }, { batchSize: 1.5 }, { seed: -1 }, { prefetch: 0 }, { threads: -1 }])(
    '%j is refused',
    async (options) => {
      const error = await failure(() => new Loader(clean, { batchSize: 4, policy, ...options }))
      expect(error.code).toBe('GOOGLENET_ERR_INVALID_ARGUMENT')
      expect(error.message).toContain(Object.keys(options)[0])
    },
  )

  test.each<[object | null | undefined, string]>([
    [{ shufle: false }, "Loader: unknown option 'shufle'; did you mean 'shuffle'"],
    [{ shuffle: 0 }, 'shuffle: expected true or false, got 0'],
    [{ dropLast: 'no' }, "dropLast: expected true or false, got 'no'"],
    [{ strict: 1 }, 'strict: expected true or false, got 1'],
    [{ batchSize: undefined }, 'batchSize: expected a whole number of at least 1, got undefined'],
    [{ policy: undefined }, 'augmentation policy: expected what one of policies returns, got undefined'],
    [{ policy: null }, 'augmentation policy: expected what one of policies returns, got null'],
    [{ signal: 5 }, 'signal: expected an AbortSignal, got 5'],
    [undefined, 'Loader options: expected an object, got undefined'],
    [null, 'Loader options: expected an object, got null'],
  ])('%o is refused with its reason', (given, message) => {
    const options = given && { batchSize: 4, policy, ...given }
    expect(() => new Loader(clean, options as never)).toThrow(message)
  })

  test.each([undefined, null, {}, { samples: [] }])('a source %o is refused', (source) => {
    const make = () => new Loader(source as never, { batchSize: 4, policy })
    expect(make).toThrow('source: expected an ImageFolder, or { samples, order }')
  })

  test.each<[unknown, string]>([
    [null, 'epoch options: expected an object, got null'],
    [{ positon: 4 }, "epoch: unknown option 'positon'; did you mean 'position'"],
    [{ signal: {} }, 'signal: expected an AbortSignal, got {}'],
  ])('an epoch with %o is refused', async (options, message) => {
    await using loader = new Loader(clean, { batchSize: 4, policy })
    await expect(loader.epoch(0, options as never).next()).rejects.toThrow(message)
  })
})
