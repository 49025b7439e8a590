// The JPEG decoder against sharp's (libjpeg with the same accurate settings) and against damaged files.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { native } from '../../lib/native.js'
import { failure, jpeg, photo, referenceData, withReference } from './fixtures.js'

const raw = async (encoded: Buffer) => new Uint8Array(await sharp(encoded).toColourspace('srgb').raw().toBuffer())

describe('decodeJpeg', () => {
  test.each([
    ['4:4:4', false],
    ['4:2:0', false],
    ['4:4:4', true],
    ['4:2:0', true],
  ])('%s, progressive %s: the pixels that libjpeg gives elsewhere', async (chromaSubsampling, progressive) => {
    for (const [width, height] of [
      [61, 43],
      [256, 256],
      [1, 1],
      [17, 160],
    ] as const) {
      const encoded = await jpeg(width, height, 3, { chromaSubsampling, progressive, quality: 90 })
      const image = await native().decodeJpeg(encoded)
      expect([image.width, image.height]).toEqual([width, height])
      expect(Buffer.compare(image.data, await raw(encoded))).toBe(0)
    }
  })

  test('greyscale becomes three equal channels', async () => {
    const encoded = await photo(40, 30).toColourspace('b-w').jpeg().toBuffer()
    expect((await sharp(encoded).metadata()).channels).toBe(1)
    const { data } = await native().decodeJpeg(encoded)
    expect(data.length).toBe(40 * 30 * 3)
    for (let i = 0; i < data.length; i += 3) expect([data[i + 1], data[i + 2]]).toEqual([data[i], data[i]])
  })

  test('CMYK: light is what the inks leave', async () => {
    const encoded = await photo(40, 30).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer()
    expect((await sharp(encoded).metadata()).space).toBe('cmyk')
    const inks = await sharp(encoded).pipelineColourspace('cmyk').toColourspace('cmyk').raw().toBuffer()
    const { data } = await native().decodeJpeg(encoded)
    expect(inks.length / 4).toBe(data.length / 3)
    let worst = 0
    for (let i = 0; i < inks.length / 4; i++)
      for (let c = 0; c < 3; c++) {
        const light = ((255 - (inks[i * 4 + c] as number)) * (255 - (inks[i * 4 + 3] as number))) / 255
        worst = Math.max(worst, Math.abs(light - (data[i * 3 + c] as number)))
      }
    expect(worst).toBeLessThanOrEqual(1)
  })

  test('EXIF orientation is ignored', async () => {
    const encoded = await photo(40, 30).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    expect(await native().decodeJpeg(encoded)).toMatchObject({ width: 40, height: 30 })
  })

  test.each([false, true])(
    'a file cut off anywhere is an error, never a half image (progressive %s)',
    async (progressive) => {
      const encoded = await jpeg(160, 120, 1, { progressive })
      const lengths = [
        3,
        10,
        100,
        300,
        650,
        encoded.length >> 1,
        encoded.length - 100,
        encoded.length - 2,
        encoded.length - 1,
      ]
      for (const length of lengths) {
        const error = await failure(() => native().decodeJpeg(encoded.subarray(0, length)))
        expect(error.code, `cut to ${length}`).toBe('GOOGLENET_ERR_IMAGE_DECODE')
        expect(error.message.length).toBeGreaterThan(5)
      }
    },
  )

  test('overwritten data is an error', async () => {
    const encoded = Buffer.from(await jpeg(160, 120))
    encoded.fill(0xff, encoded.length >> 1, (encoded.length >> 1) + 200)
    encoded.fill(0xd8, (encoded.length >> 1) + 100, (encoded.length >> 1) + 101)
    expect((await failure(() => native().decodeJpeg(encoded))).code).toBe('GOOGLENET_ERR_IMAGE_DECODE')
  })

  test('empty and foreign files', async () => {
    expect(await failure(() => native().decodeJpeg(new Uint8Array()))).toMatchObject({
      code: 'GOOGLENET_ERR_IMAGE_DECODE',
      message: 'the file is empty',
    })
    const png = await photo(8, 8).png().toBuffer()
    const error = await failure(() => native().decodeJpeg(png))
    expect(error.code).toBe('GOOGLENET_ERR_UNSUPPORTED')
    expect(error.message).toContain('not a JPEG: it begins with 89 50 4e 47')
    expect((await failure(() => native().decodeJpeg('cat.jpg' as never))).code).toBe('GOOGLENET_ERR_INVALID_ARGUMENT')
  })

  test('a header that claims 65,500 x 65,500 is refused before memory is asked for', async () => {
    const encoded = Buffer.from(await jpeg(16, 16))
    const frame = encoded.indexOf(Buffer.from([0xff, 0xc0]))
    encoded.writeUInt16BE(65500, frame + 5)
    encoded.writeUInt16BE(65500, frame + 7)
    const error = await failure(() => native().decodeJpeg(encoded))
    expect(error.code).toBe('GOOGLENET_ERR_IMAGE_DECODE')
    expect(error.message).toContain('65500x65500')
  })

  test('many at once', async () => {
    const files = await Promise.all([1, 2, 3, 4].map((seed) => jpeg(100, 80, seed)))
    const images = await Promise.all(Array.from({ length: 40 }, (_, i) => native().decodeJpeg(files[i % 4] as Buffer)))
    for (const [i, image] of images.entries())
      expect(Buffer.compare(image.data, images[i % 4]?.data ?? new Uint8Array())).toBe(0)
  })
})

describe.skipIf(!withReference)('reference photos (need the reference data)', () => {
  test.each(withReference ? ['originals', 'caffe'] : [])('all of %s decode as sharp decodes them', async (name) => {
    const dir = join(referenceData, 'images', name)
    const files = readdirSync(dir)
    expect(files.length).toBeGreaterThan(0)
    for (const file of files) {
      const encoded = readFileSync(join(dir, file))
      if (encoded[0] !== 0xff) continue
      const image = await native().decodeJpeg(encoded)
      const { space, icc, width, height } = await sharp(encoded).metadata()
      expect([image.width, image.height], file).toEqual([width, height])
      if (space === 'cmyk' || icc) continue // sharp goes through colour profiles, training tools do not
      const theirs = await sharp(encoded).toColourspace('srgb').removeAlpha().raw().toBuffer()
      expect(Buffer.compare(image.data, theirs), file).toBe(0)
    }
  })
})
