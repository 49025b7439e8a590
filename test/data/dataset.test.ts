// Folders to labelled samples, and what is said about folders that are none. No image is read.
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ImageFolder } from '../../lib/data/dataset.js'
import { parseSynsets } from '../../lib/data/synsets.js'
import { failure, put, referenceData, temporaryFolder, withReference } from './fixtures.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let root: string
beforeEach(async () => {
  folder = await temporaryFolder()
  root = folder.path
})
afterEach(() => folder.remove())

const fill = async (...names: string[]) => {
  for (const name of names) await put(root, name)
}

describe('ImageFolder.unlabelled', () => {
  test('takes all images in a folder and below it', async () => {
    await fill('b/2.jpg', '1.png', 'a/deep/x.jpg', 'notes.txt', '.hidden.jpg')
    const data = await ImageFolder.unlabelled(root)
    expect(data.classes).toEqual([])
    expect(data.samples).toEqual(
      ['1.png', 'a/deep/x.jpg', 'b/2.jpg'].map((name) => ({ path: join(root, name), label: 0 })),
    )
  })

  test('says what it looked for where there are none', async () => {
    await fill('notes.txt')
    const error = await failure(() => ImageFolder.unlabelled(root))
    expect(error.code).toBe('GOOGLENET_ERR_DATASET_EMPTY')
    expect(error.message).toContain('in it and below, found 1 other files')
    expect((await failure(() => ImageFolder.unlabelled(join(root, 'no')))).code).toBe('GOOGLENET_ERR_FILE_NOT_FOUND')
  })
})

describe('ImageFolder.open', () => {
  test('sorts classes by code unit and walks nested folders', async () => {
    await fill('b/2.JPG', 'b/10.jpeg', 'a/deep/er/x.PNG', 'B/1.webp', 'é/1.gif', 'b/notes.txt', 'b/.hidden.jpg')
    await fill('.git/1.jpg', 'README.md', 'b/.cache/1.jpg')
    const data = await ImageFolder.open(root)
    expect(data.classes).toEqual(['B', 'a', 'b', 'é'])
    expect(data.samples).toEqual([
      { path: join(root, 'B/1.webp'), label: 0 },
      { path: join(root, 'a/deep/er/x.PNG'), label: 1 },
      { path: join(root, 'b/10.jpeg'), label: 2 },
      { path: join(root, 'b/2.JPG'), label: 2 },
      { path: join(root, 'é/1.gif'), label: 3 },
    ])
    expect(data.length).toBe(5)
  })

  test('follows links, also those that lead back', async () => {
    await fill('store/cat/1.jpg', 'data/dog/1.jpg')
    await symlink(join(root, 'store/cat'), join(root, 'data/cat'))
    await symlink(join(root, 'data/dog'), join(root, 'data/dog/again'))
    await symlink(join(root, 'nowhere'), join(root, 'data/dangling'))
    const data = await ImageFolder.open(join(root, 'data'))
    expect(data.classes).toEqual(['cat', 'dog'])
    expect(data.length).toBe(2)
  })

  test('takes the classes in a given order; one may have no folder', async () => {
    await fill('a/1.jpg', 'b/1.jpg')
    const data = await ImageFolder.open(root, { classes: ['c', 'b', 'a'] })
    expect(data.classes).toEqual(['c', 'b', 'a'])
    expect(data.samples.map(({ label }) => label)).toEqual([1, 2])
    const error = await failure(() => ImageFolder.open(root, { classes: ['a', 'c'] }))
    expect(error.code).toBe('GOOGLENET_ERR_INVALID_ARGUMENT')
    expect(error.message).toContain('b')
  })

  test('leaves out classes without images', async () => {
    await fill('a/1.jpg', 'b/1.jpg', 'c/readme.txt')
    expect((await ImageFolder.open(root)).classes).toEqual(['a', 'b'])
  })

  test('fingerprint depends on names and labels, not on the place', async () => {
    await fill('x/a/1.jpg', 'x/b/2.jpg', 'y/a/1.jpg', 'y/b/2.jpg', 'z/a/1.jpg', 'z/b/3.jpg')
    const [x, y, z] = await Promise.all(['x', 'y', 'z'].map((name) => ImageFolder.open(join(root, name))))
    expect(x?.fingerprint).toMatch(/^[0-9a-f]{64}$/)
    expect(y?.fingerprint).toBe(x?.fingerprint)
    expect(z?.fingerprint).not.toBe(x?.fingerprint)
    const turned = await ImageFolder.open(join(root, 'x'), { classes: ['b', 'a'] })
    expect(turned.fingerprint).not.toBe(x?.fingerprint)
  })

  test('errors', async () => {
    const missing = await failure(() => ImageFolder.open(join(root, 'nowhere')))
    expect(missing.code).toBe('GOOGLENET_ERR_FILE_NOT_FOUND')
    expect(missing.message).toContain('nowhere')

    await fill('flat/1.jpg', 'text/a/notes.txt', 'one/a/1.jpg')
    await mkdir(join(root, 'empty'))
    expect((await failure(() => ImageFolder.open(join(root, 'flat/1.jpg')))).code).toBe('GOOGLENET_ERR_FILE_NOT_FOUND')
    for (const [name, said] of [
      ['empty', '0 folders'],
      ['flat', '1 images lie directly in it'],
      ['text', '1 folders and 1 other files'],
    ] as const) {
      const error = await failure(() => ImageFolder.open(join(root, name)))
      expect(error.code).toBe('GOOGLENET_ERR_DATASET_EMPTY')
      expect(error.message).toContain('.webp')
      expect(error.message).toContain(said)
    }
    const one = await failure(() => ImageFolder.open(join(root, 'one')))
    expect(one.code).toBe('GOOGLENET_ERR_DATASET_ONE_CLASS')
    expect(one.message).toContain("'a'")
    expect((await ImageFolder.open(join(root, 'one'), { allowOneClass: true })).length).toBe(1)

    const aborted = await failure(() => ImageFolder.open(join(root, 'one'), { signal: AbortSignal.abort() }))
    expect(aborted).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
  })
})

describe('what is no folder and no option', () => {
  const open = ImageFolder.open as (...values: unknown[]) => Promise<unknown>
  const labelled = ImageFolder.labelled as typeof open
  const unlabelled = ImageFolder.unlabelled as typeof open
  const synsets = [{ wnid: 'n01440764', label: 'tench' }]

  test.each<[string, () => Promise<unknown>, string]>([
    ['a misspelt option', () => open('d', { clases: ['x'] }), "did you mean 'classes'"],
    ['a number of options', () => open('d', 5), 'ImageFolder.open options: expected an object, got 5'],
    ['null for options', () => open('d', null), 'ImageFolder.open options: expected an object, got null'],
    ['a number of classes', () => open('d', { classes: 5 }), 'classes: expected a list of strings, got 5'],
    ['a word for classes', () => open('d', { classes: 'ab' }), "classes: expected a list of strings, got 'ab'"],
    ['one class by a word', () => open('d', { allowOneClass: 'no' }), 'allowOneClass: expected true or false'],
    ['an empty path', () => open(''), "dir: expected a path, as a string, got ''"],
    ['no synsets', () => labelled('d'), 'synsets: expected the path of a synset file'],
    ['synsets without labels', () => labelled('d', [{ wnid: 'n01440764' }]), 'synsets: expected the path of a synset'],
    ['null beside synsets', () => labelled('d', synsets, null), 'ImageFolder.labelled options: expected an object'],
    ['labels of no folder', () => labelled('', synsets), "dir: expected a path, as a string, got ''"],
    ['nothing', () => unlabelled(), 'dir: expected a path, as a string, got undefined'],
    ['nothing that is a string', () => unlabelled(''), "dir: expected a path, as a string, got ''"],
    ['a misspelt signal', () => unlabelled('d', { sgnal: 1 }), "did you mean 'signal'"],
    ['a signal that is none', () => unlabelled('d', { signal: {} }), 'signal: expected an AbortSignal, got {}'],
  ])('refuses %s', async (_, call, message) => {
    const error = await failure(call)
    expect(error.name).toBe('GoogLeNetError')
    expect(error.message).toContain(message)
  })
})

describe('synsets', () => {
  const text = '\uFEFFn01440764 tench, Tinca tinca\r\n\r\nn01443537 goldfish\n'

  test('parses', () => {
    expect(parseSynsets(text)).toEqual([
      { wnid: 'n01440764', label: 'tench, Tinca tinca' },
      { wnid: 'n01443537', label: 'goldfish' },
    ])
  })

  test.each(['', 'tench\n', 'n01440764\n', 'n01440764 a\nn01440764 b\n'])('refuses %j', async (bad) => {
    expect((await failure(() => parseSynsets(bad))).code).toBe('GOOGLENET_ERR_INVALID_FILE')
  })

  test('labels flat files and wnid folders', async () => {
    await fill('data/n01443537_3.jpg', 'data/n01440764/n01440764_9.JPEG', 'data/n01443537/other.png')
    const file = await put(root, 'synset_words.txt', text)
    const data = await ImageFolder.labelled(join(root, 'data'), file)
    expect(data.classes).toEqual(['tench, Tinca tinca', 'goldfish'])
    expect(data.samples.map(({ path, label }) => [path.slice(root.length + 6), label])).toEqual([
      ['n01443537_3.jpg', 1],
      ['n01440764/n01440764_9.JPEG', 0],
      ['n01443537/other.png', 1],
    ])
    await fill('data/dog.jpg')
    const error = await failure(() => ImageFolder.labelled(join(root, 'data'), file))
    expect(error.code).toBe('GOOGLENET_ERR_LABEL_OUT_OF_RANGE')
    expect(error.message).toContain('dog.jpg')
    const missing = await failure(() => ImageFolder.labelled(root, join(root, 'none.txt')))
    expect(missing.code).toBe('GOOGLENET_ERR_FILE_NOT_FOUND')
    await mkdir(join(root, 'empty'))
    const empty = await failure(() => ImageFolder.labelled(join(root, 'empty'), file))
    expect(empty.code).toBe('GOOGLENET_ERR_DATASET_EMPTY')
  })

  test.skipIf(!withReference)('the 500 reference photos have a label each (needs the reference data)', async () => {
    const data = await ImageFolder.labelled(
      join(referenceData, 'images/imagenet_500'),
      join(referenceData, 'weights/synset_words.txt'),
    )
    expect(data.length).toBe(500)
    expect(data.classes.length).toBe(1000)
    expect(new Set(data.samples.map(({ label }) => label)).size).toBe(500)
  })
})
