/** The types users see. */
import { describe, expectTypeOf, it } from 'vitest'
import {
  adagrad,
  average,
  type Calibration,
  type ErrorCode,
  type Evaluation,
  type Features,
  type FitEvent,
  GoogLeNet,
  GoogLeNetError,
  type Guess,
  type ImageFolder,
  type LoadedBatch,
  Loader,
  type Optimizer,
  type Photos,
  type Pushed,
  policies,
  rmsprop,
  type StalenessSummary,
  schedules,
  sgd,
  type Worker,
} from '../../lib/index.js'

declare const model: GoogLeNet
declare const data: ImageFolder

describe('calibration', () => {
  it('takes folders, lists and batches, and is readable', () => {
    expectTypeOf(
      model.calibrate(data, { method: 'percentile', percentile: 99.9 }),
    ).resolves.toEqualTypeOf<Calibration>()
    expectTypeOf(model.calibrate(['cat.jpg', new Uint8Array()])).resolves.toEqualTypeOf<Calibration>()
    expectTypeOf(model.calibrate(new Float32Array())).resolves.toEqualTypeOf<Calibration>()
    expectTypeOf(model.calibration).toEqualTypeOf<Calibration | undefined>()
    expectTypeOf<Calibration['blobs']>().toExtend<ReadonlyMap<string, { readonly range: number }>>()
  })
})

describe('GoogLeNet', () => {
  it('predict: one image gives a list, several a list of lists', () => {
    expectTypeOf(model.predict('cat.jpg')).resolves.toEqualTypeOf<Guess[]>()
    expectTypeOf(model.predict(new Uint8Array())).resolves.toEqualTypeOf<Guess[]>()
    expectTypeOf(model.predict(['cat.jpg'])).resolves.toEqualTypeOf<Guess[][]>()
    expectTypeOf(model.predict(new Float32Array())).resolves.toEqualTypeOf<Guess[][]>()
    expectTypeOf(model.features('cat.jpg', 'prob')).resolves.toEqualTypeOf<Features>()
  })

  it('fit yields events told apart by type', () => {
    const events = model.fit(data, { optimizer: sgd(), schedule: schedules.paper() })
    expectTypeOf(events).toExtend<AsyncIterable<FitEvent>>()
    const event = {} as FitEvent
    if (event.type === 'epoch') expectTypeOf(event.validation).toEqualTypeOf<Evaluation | undefined>()
    if (event.type === 'skip') expectTypeOf(event.path).toBeString()
  })

  it('optimisers, averages and workers', () => {
    expectTypeOf(adagrad({ epsilon: 1e-6 })).toEqualTypeOf<Optimizer>()
    expectTypeOf(model.fit(data, { workers: 2, average: average.ema(), optimizer: rmsprop() })).toExtend<object>()
    expectTypeOf(model.worker({ threads: 2, device: 'cuda:1' })).toEqualTypeOf<Worker>()
    expectTypeOf(model.fit(data, { workers: 4, devices: ['cuda:0', 'cuda:1'] })).toExtend<object>()
    expectTypeOf<Worker['push']>().returns.resolves.toEqualTypeOf<Pushed>()
    const event = {} as FitEvent
    if (event.type === 'epoch') expectTypeOf(event.staleness).toEqualTypeOf<StalenessSummary | undefined>()
    if (event.type === 'worker') expectTypeOf(event.error).toEqualTypeOf<Error>()
    // @ts-expect-error adagrad keeps no momentum
    adagrad({ momentum: 0.9 })
    // @ts-expect-error a worker does not choose
    model.worker({ device: 'auto' })
    // @ts-expect-error no such policy
    model.fit(data, { workers: 2, staleness: 'double' })
  })

  it('a loader gives images, or photos for a GPU', () => {
    const options = { batchSize: 2, policy: policies.none() }
    expectTypeOf(new Loader(data, options).epoch(0)).toExtend<AsyncIterable<{ images: Float32Array }>>()
    const photos = new Loader(data, { ...options, render: 'device' })
    expectTypeOf(photos).toEqualTypeOf<Loader<'device'>>()
    expectTypeOf<LoadedBatch<'device'>['images']>().toEqualTypeOf<Photos>()
    expectTypeOf(model.step).toBeCallableWith({} as LoadedBatch<'device'>)
  })

  it('create and load give a model that can be disposed of with await using', () => {
    expectTypeOf(GoogLeNet.create()).resolves.toEqualTypeOf<GoogLeNet>()
    expectTypeOf(GoogLeNet.load('x.safetensors', { classes: 5 })).resolves.toExtend<AsyncDisposable>()
  })

  it('options are checked', () => {
    // @ts-expect-error misspelt
    void GoogLeNet.create({ clases: 5 })
    // @ts-expect-error no such precision
    void GoogLeNet.create({ precision: 'f16' })
    expectTypeOf(model.precision).toEqualTypeOf<'f32' | 'tf32' | 'bf16' | 'int8'>()
    // @ts-expect-error no such device
    void GoogLeNet.create({ device: 'tpu' })
    // @ts-expect-error the constructor is private
    void new GoogLeNet({})
    // @ts-expect-error labels are required
    void model.step({ images: new Float32Array() })
    // @ts-expect-error options are read-only
    model.options.classes = 3
  })
})

it('errors carry literal codes', () => {
  expectTypeOf<GoogLeNetError['code']>().toEqualTypeOf<ErrorCode>()
  expectTypeOf<'GOOGLENET_ERR_DISPOSED'>().toExtend<ErrorCode>()
  expectTypeOf<'GOOGLENET_ERR_NONSENSE'>().not.toExtend<ErrorCode>()
  expectTypeOf(new GoogLeNetError('GOOGLENET_ERR_DISPOSED', '')).toExtend<Error>()
})
