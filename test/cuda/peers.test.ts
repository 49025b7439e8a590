/** Workers of one model on several devices, simulated: the bits of workers on one, and what goes wrong with a device. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, type Simulation } from '../simulator/simulator.js'
import { drawPictures, useFolder } from '../train/pictures.js'
import { DONE, HELPERS, inChild, on, PACKAGE } from './child.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

const FAILURE = 'GOOGLENET_ERR_INTERNAL CUDA, [a-z ]+: uncorrectable ECC error encountered'

/** A worker's steps: noise number `step`, fetched, and pushed unless told otherwise. */
const WORKERS = `${HELPERS}
  const { sgd, average, ImageFolder } = await import('${PACKAGE}index.js')
  const local = { rate: 0.01, frozen: [] }
  const push = { ...local, optimizer: sgd() }
  const compute = (worker, step, options = { push }) =>
    worker.compute(noise(2, step), { fetch: true, step, local, ...options })
  const coded = (call) => call.then(() => 'done', ({ code, message }) => code + ' ' + message)
`

describe.skipIf(nativeAbsent)(`workers on several simulated devices${nativeSkipReason}`, () => {
  const folder = useFolder()
  beforeAll(buildSimulator, 600_000)
  beforeAll(() => drawPictures(join(folder.path, 'train'), 3, 8))
  const run = (script: string, simulation: Simulation = {}) =>
    inChild(WORKERS + script, on({ devices: 2, ...simulation }))

  test.each([
    { peers: true, precision: 'f32' },
    { peers: false, precision: 'f32' },
    { peers: true, precision: 'bf16' },
  ])('a worker elsewhere gives the bits of one at home: %o', ({ peers, precision }) => {
    // Averages, clipping, sums of gradients on weights that were not fetched anew, groups and what is left of one.
    const script = (home: string, device: string) => `
      const model = await GoogLeNet.create({ ...small, seed: 5, device: '${home}', precision: '${precision}' })
      await model.keepAverage({ kind: 'ema', from: 2, decay: 0.9 }, 0)
      const worker = model.worker({ device: '${device}' })
      const clipped = { ...push, optimizer: sgd({ clip: 1 }) }
      for (let step = 0; step < 3; step++) {
        const { loss, base, pushed } = await compute(worker, step, { push: clipped })
        console.log(loss, base, pushed.updates, pushed.staleness)
      }
      await model.step(noise(2, 3), { rate: 0.01 })
      await compute(worker, 4, {})
      await compute(worker, 5, { fetch: false })
      console.log((await worker.push(push)).updates)
      for (let step = 6; step < 9; step++) console.log((await compute(worker, step, { push: { ...push, group: 2 } })).pushed.updates)
      console.log(await worker.flush({ ...push, group: 2 }))
      console.log(await digest(model, ['weights', 'momentum', 'average']))`
    const expected = run(script('cuda', 'cuda:0'), { peers })
    expect(expected).toEqual({ ...DONE, output: expect.stringMatching(/\n5\n5\n6\n6\n7\n[0-9a-f]{64}$/) })
    expect(run(script('cuda:0', 'cuda:1'), { peers })).toEqual(expected)
    expect(run(script('cuda:1', 'cuda:0'), { peers })).toEqual(expected)
  })

  test('three workers over two devices add up, and their recorded run repeats on one', () => {
    const script = (options: string) => `
      const model = await GoogLeNet.create({ ...small, seed: 5 })
      const data = await ImageFolder.open('${folder.path}/train')
      const events = model.fit(data, { batchSize: 2, epochs: 2, augment: 'caffe', workers: 3, optimizer: sgd({ rate: 0.003 }),
        average: average.ema({ decay: 0.9 }), staleness: 'scale', ${options} })
      let last
      for await (const event of events) if (event.type === 'epoch') last = event
      console.log(last.step, last.imagesSeen, last.staleness.pushes, JSON.stringify(last.staleness.histogram),
        await digest(model, ['weights', 'momentum', 'average']))`
    const log = join(folder.path, 'log.jsonl')
    const recorded = run(script(`devices: ['cuda:0', 'cuda:1'], record: '${log}'`))
    expect(recorded).toEqual({ ...DONE, output: expect.stringMatching(/^24 48 12 .* [0-9a-f]{64}$/) })
    expect(run(script(`replay: '${log}'`))).toEqual(recorded)
    expect(run(script(`devices: ['cuda:1', 'cuda:0'], replay: '${log}'`), { peers: false })).toEqual(recorded)
  })

  test('workers in step over two devices give the bits of workers on one', () => {
    const script = (options: string) => `
      const model = await GoogLeNet.create({ ...small, seed: 5 })
      const data = await ImageFolder.open('${folder.path}/train')
      for await (const _ of model.fit(data, { batchSize: 4, epochs: 1, augment: 'caffe', workers: 3, sync: true, ${options} }));
      console.log(model.steps, await digest(model))`
    const expected = run(script(''))
    expect(expected).toEqual({ ...DONE, output: expect.stringMatching(/^6 [0-9a-f]{64}$/) })
    expect(run(script("devices: ['cuda:0', 'cuda:1']"))).toEqual(expected)
  })

  test('memory() is what both devices gave, and dispose gives all of it back', () => {
    const script = (device: string, times = 1) => `
      for (let i = 0; i < ${times}; i++) {
        const model = await GoogLeNet.create({ ...small, width: 0.5 })
        await model.step(noise(2, 0))
        const alone = model.memory().total
        const worker = model.worker({ device: '${device}' })
        await compute(worker, 1)
        console.log(alone / 2 ** 20, model.memory().workers / 2 ** 20)
        await worker.dispose()
        if (model.memory().total !== alone) console.log('not the same', alone, model.memory())
        await model.dispose()
      }`
    const sizes = (device: string) => run(script(device)).output.split(' ').map(Number)
    const [[model, home], [, away]] = [sizes('cuda:0'), sizes('cuda:1')] as [[number, number], [number, number]]
    // What passes between the devices lies on the store's once more, as one array of parameters.
    const passing = away - home
    expect(passing).toBeGreaterThan(3)
    // Beside them lie staged input and partial sums: see device.test.ts. Two at once would not fit.
    const enough = [Math.ceil(model + passing) + 2, Math.ceil(home) + 2]
    const { output, ...end } = run(script('cuda:1', 3), { memory: enough })
    expect({ ...end, output }).toEqual({ ...DONE, output: Array(3).fill(`${model} ${away}`).join('\n') })
    const short = (memory: number[]) => run(script('cuda:1'), { memory }).output
    expect(short([Math.floor(model + passing), 100])).toMatch(/OUT_OF_MEMORY.*cuda:0|cuda:0.*OUT_OF_MEMORY/s)
    expect(short([100, Math.floor(home)])).toMatch(/OUT_OF_MEMORY.*cuda:1|cuda:1.*OUT_OF_MEMORY/s)
  })

  test('no memory on the other device is a typed error; model and other workers go on', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      const [here, there] = ['cuda:0', 'cuda:1'].map((device) => model.worker({ device }))
      const before = await digest(model)
      console.log(await coded(compute(there, 0)), await coded(compute(there, 0)))
      console.log((await digest(model)) === before, (await compute(here, 1)).pushed.updates)
      console.log(Number.isFinite((await model.step(noise(2, 2))).loss))
      await there.dispose()
      console.log((await compute(here, 3)).pushed.updates)`
    const refusal = /GOOGLENET_ERR_OUT_OF_MEMORY \d+ MiB could not be allocated on 'cuda:1'; use a smaller batch/.source
    const { output, ...end } = run(script, { memory: [100, 1] })
    expect(end).toEqual(DONE)
    expect(output).toMatch(new RegExp(`^${refusal} ${refusal}\ntrue 1\ntrue\n3$`))
  })

  test.each([1, 300, 800])('a device that fails after %i items of work leaves the store as it was', (items) => {
    const script = `
      const model = await GoogLeNet.create(small)
      const [here, there] = ['cuda:0', 'cuda:1'].map((device) => model.worker({ device }))
      let updates = 0
      for (let outcome = 'done'; outcome === 'done' && updates < 50; ) {
        const before = await digest(model)
        outcome = await coded(compute(there, updates))
        if (outcome === 'done') updates++
        else console.log(outcome, (await digest(model)) === before)
      }
      console.log((await compute(here, updates)).pushed.updates === updates + 1)
      await there.dispose()
      console.log(Number.isFinite((await model.step(noise(2, updates))).loss))
      await model.dispose()`
    const { output, ...end } = run(script, { fails: [0, items] })
    expect(end).toEqual(DONE)
    expect(output).toMatch(new RegExp(`^${FAILURE} true\ntrue\ntrue$`))
  })

  test('a device that fails in a run: its worker is dropped, the others go on', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      const data = await ImageFolder.open('${folder.path}/train')
      const options = { batchSize: 2, epochs: 2, augment: 'caffe', workers: 3, devices: ['cuda:0', 'cuda:1'] }
      let last
      for await (const event of model.fit(data, { ...options, onWorkerError: 'drop' })) {
        if (event.type === 'worker') console.log(event.worker, event.error.code, event.message)
        if (event.type === 'epoch') last = event
      }
      console.log(last.imagesSeen, Number.isFinite((await model.step(noise(2, 2))).loss))
      console.log(await coded(compute(model.worker({ device: 'cuda:1' }), 0)))
      console.log((await model.predict({ shape: [1, 3, 48, 48], data: noise(1, 0).images })).length)
      await model.dispose()`
    const { output, ...end } = run(script, { fails: [0, 1] })
    expect(end).toEqual(DONE)
    expect(output).toMatch(new RegExp(`^1 ${FAILURE}\n48 true\n${FAILURE}\n1$`))
  })

  test('disposed of with steps under way, again and again', () => {
    const script = `
      const outcomes = new Set()
      for (let done = 0; done < 6; done++) {
        const model = await GoogLeNet.create(small)
        const worker = model.worker({ device: 'cuda:1' })
        for (let step = 0; step < done % 3; step++) await compute(worker, step)
        const last = [3, 4, 5].map((step) => compute(worker, step).then(() => 'done', ({ code }) => code))
        if (done % 2) await last[0]
        if (done > 3) void worker.dispose()
        await model.dispose()
        for (const outcome of await Promise.all(last)) outcomes.add(outcome)
      }
      console.log([...outcomes].sort().join(' '))`
    expect(run(script)).toEqual({ ...DONE, output: expect.stringMatching(/^(GOOGLENET_ERR_DISPOSED )?done$/) })
  })

  test('aborted at any moment, a step elsewhere has been pushed whole or not at all', () => {
    const script = `
      const model = await GoogLeNet.create(small), plain = await GoogLeNet.create(small)
      const worker = model.worker({ device: 'cuda:1' }), other = plain.worker()
      for (let step = 0; step < 20; step++) {
        const controller = new AbortController()
        const before = await digest(model)
        const running = compute(worker, step, { push, signal: controller.signal }).then(() => 'done', ({ code }) => code)
        for (let turns = 0; turns < 3 * (step % 5); turns++) await new Promise((resolve) => setImmediate(resolve))
        if (step % 5 < 4) controller.abort()
        const outcome = await running
        if ((outcome === 'done') === ((await digest(model)) === before)) console.log('half a push', outcome)
        if (outcome === 'done') await compute(other, step)
        else if (outcome !== 'ABORT_ERR') console.log(outcome)
      }
      console.log((await digest(model)) === (await digest(plain)))`
    expect(run(script)).toEqual({ ...DONE, output: 'true' })
  })

  test('process.exit while a worker elsewhere computes keeps the exit code', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      const worker = model.worker({ device: 'cuda:1' })
      await compute(worker, 0)
      void compute(worker, 1)
      process.exit(7)`
    expect(run(script)).toEqual({ status: 7, signal: null, output: '' })
  })

  test('devices that cannot be are refused, with what was expected', () => {
    const script = `
      const { native } = await import('${PACKAGE}native.js')
      const told = (call) => { try { call(); console.log('made') } catch ({ code, message }) { console.log(code, message) } }
      const model = await GoogLeNet.create(small)
      const data = await ImageFolder.open('${folder.path}/train')
      for (const device of ['cpu', 'auto', 'gpu:1', 'cuda:2', 'cuda:1', 'cuda']) told(() => model.worker({ device }))
      told(() => model.fit(data, { workers: 2, devices: ['cuda:0', 'cpu'] }))
      told(() => model.fit(data, { workers: 3, devices: ['cuda:0', 'cuda:2'] }))
      const layers = [{ name: 'data', op: 'input', channels: 3, height: 4, width: 4 },
        { name: 'fc', op: 'linear', src: 'data', outputs: 2 }, { name: 'loss', op: 'loss', src: 'fc', weight: 1 }]
      const session = new (native().Session)({ layers, device: 'cuda' })
      await session.initialize(1)
      const replica = new (native().Replica)(session, { threads: 1, device: 'cpu' })
      const input = { shape: [1, 3, 4, 4], data: new Float32Array(48) }
      console.log(await coded(replica.compute(input, Int32Array.of(1), { fetch: true, step: 0, firstSample: 0, rate: 0.1 })))`
    const expected = (name: string, got: string) =>
      `GOOGLENET_ERR_INVALID_ARGUMENT ${name}: expected 'cuda' or 'cuda:N', as the model is on 'cuda' (see its option 'device'), got '${got}'`
    const absent =
      "GOOGLENET_ERR_DEVICE_UNAVAILABLE device 'cuda:2' is not available: there is no device 'cuda:2': 2 GPUs were found, " +
      'counted from 0. Let the workers do without it'
    expect(run(script)).toEqual({
      ...DONE,
      output: [
        ...['cpu', 'auto', 'gpu:1'].map((device) => expected('device', device)),
        ...[absent, 'made', 'made', expected('devices', 'cpu'), absent],
        "GOOGLENET_ERR_UNSUPPORTED a worker on 'cpu' cannot serve a model on 'cuda'",
      ].join('\n'),
    })
  })

  test('googlenet train --devices: the model on the first, the run resumed', () => {
    const train = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'train', ...args], {
        env: { ...process.env, ...on({ devices: 2 }) },
        encoding: 'utf8',
      })
      return { status, output: stdout + stderr }
    }
    const out = join(folder.path, 'run')
    const data = ['--data', join(folder.path, 'train'), '--out', out]
    const size = ['--input-size', '48', '--width', '0.125', '--batch', '4', '--epochs', '1']
    expect(train(...data, ...size, '--devices', 'cuda:0')).toEqual({
      status: 2,
      output: expect.stringContaining("workers: expected a number of workers, which 'devices' is about"),
    })
    const devices = ['--workers', '2', '--devices', 'cuda:1, cuda:0']
    expect(train(...data, ...size, ...devices)).toEqual({ status: 0, output: expect.stringContaining('on cuda:1') })
    expect(train('--resume', out, '--epochs', '2')).toEqual({ status: 0, output: expect.stringContaining('on cuda:1') })
    expect(train('--resume', out, '--epochs', '3', '--device', 'cpu')).toEqual({
      status: 2,
      output: expect.stringContaining("devices: expected 'cpu', as the model is on 'cpu'"),
    })
    expect(train('--resume', out, '--epochs', '3', '--devices', 'cuda:2,cuda:0')).toEqual({
      status: 1,
      output: expect.stringContaining("there is no device 'cuda:2'"),
    })
  })
})
