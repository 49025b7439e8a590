/**
 * The JPEG files of the decoding rows: 500 photos of 227x227, and some 110 of about 500x371 at quality 90, cut from the
 * unmodified originals with a few pixels' shift. Made once from the reference data; without it there are no such rows.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { dataFile, preparedFolder } from './paths.mjs'

const SMALL = 500
const LARGE = 110
const LONGEST = 500

/** @returns {Promise<{ photos: string, what: string }[]>} folders below the prepared one */
export async function preparePhotos() {
  const flowers = dataFile('datasets/flowers5_227/train')
  const originals = dataFile('images/originals')
  if (!flowers || !originals) return []
  await make('photos-227', (folder) => {
    const files = readdirSync(flowers).flatMap((name) =>
      readdirSync(join(flowers, name)).map((file) => join(name, file)),
    )
    const every = Math.floor(files.length / SMALL)
    for (let i = 0; i < SMALL; i++) copyFileSync(join(flowers, files[i * every]), join(folder, `${i}.jpg`))
  })
  await make('photos-500', async (folder) => {
    const files = []
    for (const name of readdirSync(originals)) {
      const { channels, space } = await sharp(join(originals, name)).metadata()
      if (channels === 3 && space === 'srgb') files.push(name)
    }
    const shifts = Math.ceil(LARGE / files.length)
    for (const name of files) {
      const fitted = sharp(join(originals, name)).resize(LONGEST, LONGEST, { fit: 'inside', withoutEnlargement: false })
      const { data, info } = await fitted.raw().toBuffer({ resolveWithObject: true })
      for (let shift = 0; shift < shifts; shift++) {
        const part = { left: shift, top: shift, width: info.width - shift, height: info.height - shift }
        const image = sharp(data, { raw: info }).extract(part).jpeg({ quality: 90 })
        await image.toFile(join(folder, `${name}-${shift}.jpg`))
      }
    }
  })
  return [
    { photos: 'photos-227', what: '227x227' },
    { photos: 'photos-500', what: 'about 500x371, quality 90' },
  ]
}

async function make(name, fill) {
  const folder = join(preparedFolder, name)
  if (existsSync(folder)) return
  rmSync(`${folder}.part`, { recursive: true, force: true })
  mkdirSync(`${folder}.part`, { recursive: true })
  await fill(`${folder}.part`)
  renameSync(`${folder}.part`, folder)
}
