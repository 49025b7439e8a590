/** The network table against the published figures, and the native graph against an independent calculation. */
import { describe, expect, it } from 'vitest'
import { googlenet, MIN_INPUT_SIZE, type NetworkOptions } from '../../lib/model/googlenet.js'
import { native } from '../../lib/native.js'
import { NETWORK_TABLE } from './network-table.js'
import { referenceShapes } from './reference-shapes.js'

const total = (rows: readonly { parameters: number; macs: number }[]) => ({
  parameters: rows.reduce((sum, row) => sum + row.parameters, 0),
  macs: rows.reduce((sum, row) => sum + row.macs, 0),
})

describe('the BVLC table', () => {
  const table = googlenet()
  const rows = referenceShapes(table)

  it.each(NETWORK_TABLE)('%s', (name, shape, parameters, macs) => {
    expect(rows.find((row) => row.name === name)).toEqual({ name, shape, parameters, macs })
  })

  it('has no other rows than those, the input, the softmax and the losses', () => {
    const listed = NETWORK_TABLE.map(([name]) => name)
    const rest = table.map(({ name }) => name).filter((name) => !listed.includes(name))
    expect(rest).toEqual(['data', 'loss1/loss1', 'loss2/loss2', 'prob', 'loss3/loss3'])
  })

  it('has the published totals with and without the auxiliary heads', () => {
    expect(total(rows).parameters).toBe(13_378_280)
    expect(total(referenceShapes(googlenet({ auxiliary: false })))).toEqual({
      parameters: 6_998_552,
      macs: 1_582_671_872,
    })
  })

  it('counts layers as train_val.prototxt does', () => {
    const count = (op: string) => table.filter((row) => row.op === op).length
    expect([count('conv'), count('pool'), count('concat'), count('lrn'), count('linear'), count('dropout')]).toEqual([
      59, 16, 9, 2, 5, 3,
    ])
    expect(table.filter((row) => 'relu' in row && row.relu).length).toBe(61)
  })

  it('fills as Caffe does', () => {
    for (const row of table) {
      if (row.op !== 'conv' && row.op !== 'linear') continue
      expect(row.weightFiller).toEqual({ type: 'xavier' })
      expect(row.biasFiller).toEqual({ type: 'constant', value: row.name.endsWith('/classifier') ? 0 : 0.2 })
    }
  })

  it('weights the losses 0.3, 0.3 and 1', () => {
    expect(table.flatMap((row) => (row.op === 'loss' ? [row.weight] : []))).toEqual([0.3, 0.3, 1])
  })
})

describe('variants', () => {
  const shapeOf = (options: NetworkOptions, name: string) =>
    referenceShapes(googlenet(options)).find((row) => row.name === name)?.shape

  it('scales every channel count to multiples of 8, at least 8, and leaves the classes alone', () => {
    for (const row of googlenet({ width: 0.3, classes: 7 })) {
      if (row.op === 'conv' || (row.op === 'linear' && row.relu)) {
        expect(row.outputs % 8).toBe(0)
        expect(row.outputs).toBeGreaterThanOrEqual(8)
      } else if (row.op === 'linear') {
        expect(row.outputs).toBe(7)
      }
    }
    expect(shapeOf({ width: 0.5 }, 'inception_3a/output')).toEqual([32 + 64 + 16 + 16, 28, 28])
  })

  it.each([MIN_INPUT_SIZE, 64, 96, 128, 160, 192, 223, 225, 256, 299])('fits an input of %i pixels', (inputSize) => {
    expect(shapeOf({ inputSize }, 'pool5/7x7_s1')).toEqual([1024, 1, 1])
    expect(shapeOf({ inputSize }, 'loss1/conv')?.[1]).toBeGreaterThanOrEqual(1)
  })

  it('refuses an input that is too small and names the minimum', () => {
    expect(() => googlenet({ inputSize: MIN_INPUT_SIZE - 1 })).toThrow(`at least ${MIN_INPUT_SIZE}`)
  })

  it('naive blocks feed the pool straight into the concat (figure 2a)', () => {
    const rows = googlenet({ block: 'naive' })
    expect(rows.some(({ name }) => /reduce|pool_proj/.test(name) && name.startsWith('inception'))).toBe(false)
    expect(shapeOf({ block: 'naive' }, 'inception_3a/output')).toEqual([64 + 128 + 32 + 192, 28, 28])
    expect(total(referenceShapes(rows)).macs).toBeGreaterThan(5e9)
  })

  it('msra fillers go with biases of 0', () => {
    const rows = googlenet({ filler: 'msra' })
    expect(rows.every((row) => !('biasFiller' in row) || JSON.stringify(row.biasFiller).includes('"value":0}'))).toBe(
      true,
    )
  })
})

describe('the native graph', () => {
  it.each<NetworkOptions>([
    {},
    { auxiliary: false },
    { width: 0.5, classes: 8, inputSize: 96 },
    { block: 'naive', inputSize: 64, width: 0.25 },
    { inputSize: MIN_INPUT_SIZE },
    { inputSize: 225, classes: 10, width: 0.25 },
  ])('agrees: %o', async (options) => {
    const layers = googlenet(options)
    const session = new (native().Session)({ layers })
    const described = session.describe().layers
    expect(described.map(({ name, shape, parameters, macs }) => ({ name, shape, parameters, macs }))).toEqual(
      referenceShapes(layers),
    )
    await session.dispose()
  })
})
