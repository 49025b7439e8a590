/**
 * The demo's data: what the four packages share, that nothing leaks from the held-out sets into training, and that
 * loading can be repeated, watched, aborted, and explains a missing package.
 */
import { createRequire } from 'node:module'
import { beforeAll, describe, expect, it } from 'vitest'
import { type EmojiData, loadEmoji } from '../../lib/demo/emoji.js'
import { type EmojiIndex, emojiGroups, readEmojiIndex } from '../../lib/demo/icons.js'
import { emojiFamily, isHeldOut } from '../../lib/demo/split.js'

const small = { size: 16, heldOutStyle: 'twemoji', seed: 1 } as const
const styleOf = (name: string) => name.split('/')[0]!
const conceptOf = (name: string) => name.split('/')[1]!

describe('what the four packages share', () => {
  let index: EmojiIndex
  beforeAll(async () => {
    index = await readEmojiIndex()
  })

  it('is 1,567 names, 1,554 of them in the eight groups', () => {
    expect(index.shared).toHaveLength(1567)
    expect(index.concepts).toHaveLength(1554)
    expect(new Set(index.shared).size).toBe(1567)
  })

  it('has People & Body as its largest group, 20.6 %', () => {
    const counts = emojiGroups.map((_, label) => index.concepts.filter((concept) => concept.label === label).length)
    expect(counts).toEqual([84, 156, 130, 262, 320, 165, 219, 218])
    expect(Math.max(...counts) / 1554).toBeCloseTo(0.206, 3)
  })

  it('has no skin tones', () => {
    expect(index.shared.filter((name) => name.includes('skin-tone'))).toEqual([])
  })

  it('mirrors a mirrored alias', () => {
    const right = index.concepts.find(({ name }) => name === 'backhand-index-pointing-right')!
    expect(right.drawings['fluent-emoji-flat'].body).toContain('scale(-1 1)')
  })
})

describe('the split', () => {
  it('keeps a family together', () => {
    expect(emojiFamily('woman-running')).toBe(emojiFamily('man-running'))
    expect(emojiFamily('red-apple')).toBe('red-apple')
    expect(emojiFamily('woman')).toBe('person')
    for (let seed = 0; seed < 50; seed++) {
      expect(isHeldOut('woman-running', seed)).toBe(isHeldOut('person-running', seed))
    }
  })

  it('holds out about the share asked for, another one for another seed', () => {
    const names = Array.from({ length: 4000 }, (_, i) => `concept-${i}`)
    const chosen = names.filter((name) => isHeldOut(name, 1))
    expect(chosen.length / names.length).toBeCloseTo(0.2, 1)
    expect(names.filter((name) => isHeldOut(name, 2))).not.toEqual(chosen)
  })
})

describe('loadEmoji', () => {
  let data: EmojiData
  const seen: [number, number][] = []
  beforeAll(async () => {
    data = await loadEmoji({ ...small, onProgress: (done, total) => seen.push([done, total]) })
  })

  it('gives arrays that fit each other', () => {
    expect(data.classes).toEqual([...emojiGroups])
    for (const set of [data.train, data.newStyle, data.newConcept]) {
      expect(set.images).toHaveLength(set.names.length * 16 * 16 * 3)
      expect(set.labels).toHaveLength(set.names.length)
      expect(new Set(set.labels).size).toBe(8)
      expect(new Set(set.names).size).toBe(set.names.length)
    }
    expect(data.newStyle.names.length + data.newConcept.names.length).toBe(1554)
    expect(data.train.names.length).toBe(3 * data.newStyle.names.length)
    expect(data.attribution).toHaveLength(4)
  })

  it('lets no held-out style and no held-out concept into training', () => {
    expect(data.train.names.filter((name) => styleOf(name) === 'twemoji')).toEqual([])
    expect(new Set([...data.newStyle.names, ...data.newConcept.names].map(styleOf))).toEqual(new Set(['twemoji']))
    const trained = new Set(data.train.names.map(conceptOf))
    const families = new Set([...trained].map(emojiFamily))
    expect(data.newStyle.names.filter((name) => !trained.has(conceptOf(name)))).toEqual([])
    expect(data.newConcept.names.filter((name) => families.has(emojiFamily(conceptOf(name))))).toEqual([])
  })

  it('draws something on a white background', () => {
    expect([...data.train.images.subarray(0, 3)]).toEqual([255, 255, 255])
    const bytes = 16 * 16 * 3
    for (let i = 0; i < data.train.names.length; i++) {
      const image = data.train.images.subarray(i * bytes, (i + 1) * bytes)
      expect(
        image.some((value) => value < 250),
        data.train.names[i],
      ).toBe(true)
    }
  })

  it('reports each drawing', () => {
    const total = data.train.names.length + 1554
    expect(seen).toHaveLength(total)
    expect(seen[0]).toEqual([1, total])
    expect(seen.at(-1)).toEqual([total, total])
  })

  it('gives the same for the same seed', async () => {
    const again = await loadEmoji(small)
    expect(again.train.names).toEqual(data.train.names)
    expect(Buffer.compare(again.train.images, data.train.images)).toBe(0)
    expect(Buffer.compare(again.newConcept.images, data.newConcept.images)).toBe(0)
  })
})

describe('what can go wrong', () => {
  it('stops when aborted, before and while drawing', async () => {
    await expect(loadEmoji({ ...small, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const controller = new AbortController()
    let last = 0
    const loading = loadEmoji({
      ...small,
      signal: controller.signal,
      onProgress: (done) => {
        last = done
        if (done === 20) controller.abort()
      },
    })
    await expect(loading).rejects.toMatchObject({ name: 'AbortError' })
    expect(last).toBeLessThan(40)
  })

  it('names a missing package and the command that mends it', async () => {
    const resolve = (specifier: string) => {
      if (specifier.includes('openmoji')) throw new Error(`Cannot find module '${specifier}'`)
      return createRequire(import.meta.url).resolve(specifier)
    }
    await expect(loadEmoji({ ...small, resolve })).rejects.toMatchObject({
      code: 'GOOGLENET_ERR_FILE_NOT_FOUND',
      message: expect.stringMatching(/@iconify-json\/openmoji.*npm install .*@iconify-json\/openmoji/),
      cause: expect.any(Error),
    })
  })

  it('refuses sizes and styles that cannot be', async () => {
    const code = 'GOOGLENET_ERR_INVALID_ARGUMENT'
    await expect(loadEmoji({ ...small, size: 4 })).rejects.toMatchObject({ code })
    await expect(loadEmoji({ ...small, heldOutStyle: 'apple' as 'noto' })).rejects.toMatchObject({ code })
  })
})
