// The evaluation input against a recorded one that PIL and numpy made: decoder, crop, channel order and mean at once.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { policies } from '../../lib/data/augment.js'
import { Loader } from '../../lib/data/loader.js'
import { readSafetensors } from '../../lib/weights/safetensors.js'
import { referenceData, withReference } from './fixtures.js'

const recorded = async (name: string) =>
  (await readSafetensors(join(referenceData, 'golden/golden_bvlc.safetensors'))).tensors.get(name)!.data.slice()

test.skipIf(!withReference)(
  'a 256 x 256 photo becomes the recorded input, bit for bit (needs the reference data)',
  async () => {
    const path = join(referenceData, 'images/imagenet_500/n01806143_peacock.jpg')
    const source = { samples: [{ path, label: 84 }], order: () => [0] }
    await using loader = new Loader(source, { batchSize: 1, policy: policies.evaluate() })
    const expected = await recorded('input_peacock')
    for await (const { images } of loader)
      expect(Buffer.compare(Buffer.from(images.buffer), Buffer.from(expected.buffer))).toBe(0)
  },
)

test.skipIf(!withReference)(
  'a photo that must shrink becomes what PIL made of it (needs the reference data)',
  async () => {
    const path = join(referenceData, 'images/caffe/cat.jpg')
    const source = { samples: [{ path, label: 281 }], order: () => [0] }
    await using loader = new Loader(source, { batchSize: 1, policy: policies.evaluate() })
    const expected = await recorded('input')
    for await (const { images } of loader) {
      // PIL rounds to bytes between its two passes too, so one level may differ.
      const differences = images.map((value, i) => Math.abs(value - expected[i]!))
      expect(differences.every((d) => d <= 1)).toBe(true)
      expect(differences.filter((d) => d > 0).length / differences.length).toBeLessThan(0.2)
    }
  },
)
