/** Batches of photos on a CUDA device, simulated or real, beside batches of images from the processor. */
import { expect, test } from 'vitest'
import { jpeg, photo, put } from '../data/fixtures.js'
import { DONE, type Environment, inChild, PACKAGE } from './child.js'

const SIZES: [number, number][] = [
  [1, 1],
  [3, 2],
  [61, 37],
  [37, 61],
  [120, 90],
  [500, 375],
  [1600, 1203],
  [15, 700],
]

/** What a script gets: `files` is a folder of photos, load(rendering, options) gives the batches of an epoch of it. */
export const helpers = (files: string) => `
  const { ImageFolder, Loader, policies, sgd } = await import('${PACKAGE}index.js')
  const { native } = await import('${PACKAGE}native.js')
  const files = await ImageFolder.open('${files}')
  const load = async (render, options) => {
    const batches = []
    const policy = policies.caffe({ size: 48 })
    for await (const batch of new Loader(files, { batchSize: 3, seed: 5, threads: 2, render, policy, ...options })) batches.push(batch)
    return batches
  }
  const codeOf = (run) => Promise.resolve().then(run).then(() => 'done', ({ code }) => code)\n`

/** 11 photos of all sizes and kinds in two classes, and two files that cannot be decoded. */
export async function drawPhotos(folder: string): Promise<void> {
  for (const [i, [width, height]] of SIZES.entries()) await put(folder, `a/${i}.jpg`, await jpeg(width, height, i))
  await put(folder, 'a/broken.jpg', (await jpeg(90, 80)).subarray(0, 900))
  await put(folder, 'b/1.png', await photo(33, 44, 7).png().toBuffer())
  await put(folder, 'b/2.png', await photo(400, 300, 8).png().toBuffer())
  await put(folder, 'b/broken.png', 'not a picture')
  await put(folder, 'b/grey.jpg', await photo(70, 70, 9).greyscale().jpeg().toBuffer())
}

/** Sizes, formats and policies of all kinds. `folder` holds what drawPhotos() made. */
export function testPhotos(env: Environment, folder: { readonly path: string }): void {
  test.each(['f32', 'bf16'])('batches of photos are those of images, %s', (precision) => {
    const script = `
      const layers = [{ name: 'data', op: 'input', channels: 3, height: 48, width: 48 },
        { name: 'pool', op: 'pool', src: 'data', kernel: 'global', kind: 'average' }]
      const session = new (native().Session)({ layers, device: 'cuda', precision: '${precision}' })
      const values = async ({ data, count }) => {
        const inputs = { data: { data, shape: [count, 3, 48, 48], photos: true } }
        return (await session.run({ inputs, training: false, outputs: ['data'] })).outputs.data.data
      }
      const size = 48
      const colours = { brightness: 0.6, contrast: 0.6, saturation: 0.6, lighting: 0.2 }
      const all = {
        none: policies.none({ size }), caffe: policies.caffe({ size }), inception: policies.inception({ size }),
        boxes: policies.inception({ size, colour: false }), coloured: { ...policies.caffe({ size }), ...colours, mirror: 1 },
        warp: policies.evaluate({ size }), short: policies.evaluate({ size, mode: 'short' }), whole: policies.evaluate({ size, mode: 'none' }),
      }
      const rest = ({ images, release, ...rest }) => JSON.stringify(rest)
      for (const [name, policy] of Object.entries(all)) {
        const host = await load('host', { policy }), device = await load('device', { policy })
        if (host.map(rest).join() !== device.map(rest).join()) console.log('other batches')
        let error = 0
        for (const [i, { images }] of device.entries()) {
          const actual = await values(images)
          for (const [k, wanted] of host[i].images.entries())
            error = Math.max(error, Math.abs(actual[k] - wanted) - Math.abs(wanted) * ${precision === 'bf16' ? 2 ** -8 : 0})
        }
        console.log(JSON.stringify({ name, batches: device.length, coloured: policy.brightness > 0, error }))
      }`
    const { output, ...end } = inChild(helpers(folder.path) + script, env)
    expect(end, output).toEqual(DONE)
    const lines = output.split('\n')
    expect(lines).toHaveLength(8)
    for (const line of lines) {
      const { name, batches, coloured, error } = JSON.parse(line)
      // 11 photos, 3 a batch. Grey levels are the same; colours may be off by what test/simulator/photos.cc explains.
      expect(batches, name).toBe(4)
      expect(error, name).toBeLessThanOrEqual(coloured ? 6e-3 : 0)
    }
  })
}
