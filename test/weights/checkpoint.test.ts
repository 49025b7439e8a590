/** Checkpoints and model files: everything comes back, damage is named, other formats are told apart. */
import { copyFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { writeCaffemodel } from '../../lib/weights/caffemodel.js'
import {
  type Checkpoint,
  loadCheckpoint,
  loadModelFile,
  saveCheckpoint,
  saveModel,
} from '../../lib/weights/checkpoint.js'
import { readSafetensors, writeSafetensors } from '../../lib/weights/safetensors.js'
import { expectError, expectSameTensors, tensor, useTemporaryFolder } from './helpers.js'

const folder = useTemporaryFolder()
const file = (name = 'model.safetensors') => join(folder(), name)

const weights = new Map([
  ['conv1/7x7_s2.weight', tensor([2, 3, 1, 1], (i) => i / 3)],
  ['loss3/classifier.bias', tensor([2], (i) => -i)],
])
const halved = new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((v) => v / 2) }]))
const model = {
  classes: 2,
  inputSize: 224,
  width: 1,
  auxiliary: true,
  block: 'reduced' as const,
  dropout: { main: 0.4, auxiliary: 0.7 },
  seed: 1,
}
const labels = ['cat', 'ünïcode "dog"']
const preprocessing = { channels: 'BGR' as const, mean: [104, 117, 123], scale: 1 }
const checkpoint: Checkpoint = {
  weights,
  momentum: halved,
  average: halved,
  model,
  labels,
  preprocessing,
  state: {
    step: 20,
    epoch: 1,
    imagesSeen: 640,
    position: 128,
    dataset: 'sha256:00ff',
    seed: 2 ** 32 - 1,
    optimizer: { momentum: 0.9, weightDecay: 2e-4 },
    schedule: { kind: 'paper', base: 0.01, milestones: [1, 2], nested: { a: null } },
    best: { top1: 0.5, top5: 1 / 3 },
  },
}

describe('checkpoints', () => {
  it('come back whole', async () => {
    await saveCheckpoint(file(), checkpoint)
    const got = await loadCheckpoint(file())
    const { weights: w, momentum, average, ...rest } = got
    expectSameTensors(w, weights)
    expectSameTensors(momentum, halved)
    expectSameTensors(average ?? new Map(), halved)
    expect(rest).toEqual({ model, labels, preprocessing, state: checkpoint.state })
    expect(await readdir(folder())).toEqual(['model.safetensors'])
  })

  it('come back without average, labels and preprocessing, and with frozen weights', async () => {
    const { average: _, preprocessing: __, labels: ___, ...rest } = checkpoint
    const [frozen] = weights.keys()
    const momentum = new Map([...halved].filter(([name]) => name !== frozen))
    await saveCheckpoint(file(), { ...rest, momentum })
    const got = await loadCheckpoint(file())
    expect(Object.keys(got).sort()).toEqual(['model', 'momentum', 'state', 'weights'])
    expectSameTensors(got.momentum, momentum)
  })

  it('loaded as a model are their weights', async () => {
    await saveCheckpoint(file(), checkpoint)
    const { weights: got, ...rest } = await loadModelFile(file())
    expectSameTensors(got, weights)
    expect(rest).toEqual({ model, labels, preprocessing })
  })

  it('keep options that a newer version added', async () => {
    const newer = { ...model, novelty: 3 }
    await saveCheckpoint(file(), { ...checkpoint, model: newer })
    expect((await loadCheckpoint(file())).model).toEqual(newer)
  })

  it('drop options that are undefined', async () => {
    const state = { ...checkpoint.state, optimizer: { clip: undefined, momentum: 0.9 } }
    await saveCheckpoint(file(), { ...checkpoint, state })
    expect((await loadCheckpoint(file())).state.optimizer).toEqual({ momentum: 0.9 })
  })

  it('cannot be saved with a state that could not be loaded', async () => {
    const state = { ...checkpoint.state, best: { top1: Number.NaN } }
    await expectError(saveCheckpoint(file(), { ...checkpoint, state }), 'INVALID_ARGUMENT', /'state': 'top1' is NaN/)
    const negative = { ...checkpoint.state, step: -1 }
    await expectError(
      saveCheckpoint(file(), { ...checkpoint, state: negative }),
      'INVALID_ARGUMENT',
      /'state'[\s\S]*step/,
    )
    const stray = new Map([['nobody', tensor([1])]])
    await expectError(
      saveCheckpoint(file(), { ...checkpoint, momentum: stray }),
      'INVALID_ARGUMENT',
      /momentum\/nobody/,
    )
    expect(await readdir(folder())).toEqual([])
  })

  it('an aborted save keeps the previous one', async () => {
    await saveCheckpoint(file(), checkpoint)
    const aborted = saveCheckpoint(file(), { ...checkpoint, labels: [] }, { signal: AbortSignal.abort() })
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    expect((await loadCheckpoint(file())).labels).toEqual(labels)
    expect(await readdir(folder())).toEqual(['model.safetensors'])
  })

  const damage: [string, Record<string, string | undefined>, RegExp][] = [
    ['a model file', { format: 'googlenet-model/1' }, /expected a training checkpoint .*, got googlenet-model\/1/],
    ['a foreign file', { format: undefined }, /got no format/],
    ['a newer format', { format: 'googlenet-checkpoint/2' }, /got googlenet-checkpoint\/2/],
    ['no state', { state: undefined }, /lacks 'state'/],
    ['no model', { model: undefined }, /lacks 'model'/],
    ['state not JSON', { state: '{' }, /'state' is not JSON/],
    [
      'state of wrong types',
      { state: JSON.stringify({ ...checkpoint.state, step: -1, epoch: 'x' }) },
      /step[\s\S]*epoch/,
    ],
    ['an unknown block', { model: JSON.stringify({ ...model, block: 'wide' }) }, /'model'[\s\S]*block/],
    ['labels not strings', { labels: '[1]' }, /'labels'/],
  ]
  it.each(damage)('%s', async (_name, changes, message) => {
    await saveCheckpoint(file(), checkpoint)
    const { tensors, metadata } = await readSafetensors(file())
    const changed = Object.entries({ ...metadata, ...changes }).filter(
      (pair): pair is [string, string] => pair[1] !== undefined,
    )
    await writeSafetensors(file(), tensors, Object.fromEntries(changed))
    await expectError(loadCheckpoint(file()), 'INVALID_FILE', message)
  })

  it('momentum of another shape', async () => {
    await saveCheckpoint(file(), checkpoint)
    const { tensors, metadata } = await readSafetensors(file())
    tensors.set('momentum/loss3/classifier.bias', tensor([3]))
    await writeSafetensors(file(), tensors, metadata)
    await expectError(
      loadCheckpoint(file()),
      'INVALID_FILE',
      /momentum\/loss3\/classifier\.bias: expected shape \[2\], got \[3\]/,
    )
  })
})

describe('model files', () => {
  it('come back whole', async () => {
    await saveModel(file(), { weights, model, labels, preprocessing })
    const { weights: got, ...rest } = await loadModelFile(file())
    expectSameTensors(got, weights)
    expect(rest).toEqual({ model, labels, preprocessing })
  })

  it('a foreign safetensors file is weights alone', async () => {
    await writeSafetensors(file(), weights, { format: 'pt', model: 'not ours', labels: '{' })
    const { weights: got, ...rest } = await loadModelFile(file())
    expectSameTensors(got, weights)
    expect(rest).toEqual({})
  })

  it('a .caffemodel', async () => {
    const weight = tensor([2, 3])
    await writeCaffemodel(file('net.caffemodel'), 'n', [{ name: 'fc', type: 'InnerProduct', weight }])
    expectSameTensors((await loadModelFile(file('net.caffemodel'))).weights, new Map([['fc.weight', weight]]))
  })

  it('the content decides where the extension says nothing', async () => {
    await saveModel(file(), { weights, model, labels })
    await copyFile(file(), file('weights.bin'))
    expect((await loadModelFile(file('weights.bin'))).labels).toEqual(labels)
    await writeCaffemodel(file('net.bin'), 'n', [{ name: 'fc', type: 'InnerProduct', weight: tensor([2, 3]) }])
    expect((await loadModelFile(file('net.bin'))).weights.size).toBe(1)
    await writeFile(file('net.pth'), 'PK\u0003\u0004 a zip')
    await expectError(loadModelFile(file('net.pth')), 'INVALID_FILE', /PyTorch/)
    await writeFile(file('tiny'), 'x')
    await expectError(loadModelFile(file('tiny')), 'INVALID_FILE', /Caffe NetParameter/)
    await writeFile(file('fake.safetensors'), 'not one at all')
    await expectError(loadModelFile(file('fake.safetensors')), 'INVALID_FILE', /safetensors/)
  })

  it('a format of a newer version, a missing file', async () => {
    await writeSafetensors(file(), weights, { format: 'googlenet-model/2' })
    await expectError(loadModelFile(file()), 'INVALID_FILE', /googlenet-model\/2 is unknown.*update/)
    await expectError(loadModelFile(file('none.caffemodel')), 'FILE_NOT_FOUND', /no such file/)
  })
})
