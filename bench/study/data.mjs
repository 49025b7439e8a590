/**
 * The study's data as image folders: the demo's emoji, drawn at 72 pixels into build/study (three styles to train on,
 * the fourth held out), and flowers5 where the shared data lies.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { loadEmoji } from '../../dist/demo/emoji.js'
import { demoRecipe } from '../../dist/demo/recipe.js'
import { ImageFolder } from '../../dist/index.js'

const SIZE = 72

async function write(dir, { images, labels, names }, classes) {
  for (const name of classes) await mkdir(join(dir, name), { recursive: true })
  const raw = { width: SIZE, height: SIZE, channels: 3 }
  for (let i = 0; i < names.length; i++) {
    const pixels = images.subarray(i * SIZE * SIZE * 3, (i + 1) * SIZE * SIZE * 3)
    const file = join(dir, classes[labels[i]], `${names[i].replaceAll('/', '-')}.jpg`)
    await sharp(pixels, { raw }).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toFile(file)
  }
}

/** { train, validation } as ImageFolders. */
export async function emoji(folder) {
  const root = join(folder, 'emoji')
  if (!existsSync(root)) {
    const { heldOutStyle, background } = demoRecipe
    const data = await loadEmoji({ size: SIZE, heldOutStyle, background, seed: 1 })
    const classes = data.classes.map((name) => name.replaceAll(/[^A-Za-z]+/g, '-'))
    await write(join(`${root}.part`, 'train'), data.train, classes)
    await write(join(`${root}.part`, 'val'), data.newStyle, classes)
    await write(join(`${root}.part`, 'val'), data.newConcept, classes)
    await rename(`${root}.part`, root)
  }
  return open(root)
}

export async function flowers(shared) {
  const root = join(shared, 'datasets', 'flowers5_227')
  const weights = join(shared, 'weights', 'bvlc_googlenet.safetensors')
  if (!existsSync(root) || !existsSync(weights)) return undefined
  return { ...(await open(root)), weights }
}

async function open(root) {
  const train = await ImageFolder.open(join(root, 'train'))
  return { train, validation: await ImageFolder.open(join(root, 'val'), { classes: train.classes }) }
}
