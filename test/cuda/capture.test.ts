/** Recorded steps on the simulated device: the bits of steps that are not, and what goes wrong changes nothing. */
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, missingRefusals, type Simulation } from '../simulator/simulator.js'
import { DONE, HELPERS, inChild, on, PACKAGE } from './child.js'

describe.skipIf(nativeAbsent)(`recorded steps${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  const run = (script: string, simulation: Simulation = {}) => inChild(HELPERS + script, on(simulation))

  test('the simulated runtime refuses what a capture forbids', () => expect(missingRefusals()).toBe(''))

  test('ten steps give the bits of steps that are not recorded', () => {
    // Dropout, rates, momentum, decay, clipping and the average's share change from step to step; frozen weights and
    // another batch size ask for another recording; evaluations come between.
    const script = (capture: boolean) => `
      const { sgd } = await import('${PACKAGE}index.js')
      const model = await GoogLeNet.create({ ...small, seed: 5, capture: ${capture} })
      await model.keepAverage({ kind: 'ema', from: 2, decay: 0.9 }, 0)
      for (let step = 0; step < 10; step++) {
        const optimizer = { ...sgd(), momentum: 0.9 - step / 50, weightDecay: step / 1000, clip: step % 3 }
        const frozen = step === 6 ? ['conv1/7x7_s2.weight'] : []
        const result = await model.step(noise(step === 7 ? 3 : 2, step), { optimizer, rate: 0.02 / (step + 1), frozen })
        console.log(result.loss, result.gradientNorm, JSON.stringify(result.losses))
        if (step % 3 !== 1) continue
        const { images } = noise(2, 100)
        console.log((await model.features({ shape: [2, 3, 48, 48], data: images }, 'prob')).data.join())
        await model.withAverage(() => model.features({ shape: [2, 3, 48, 48], data: images }, 'prob')).then(({ data }) => console.log(data.join()))
      }
      console.log(await digest(model, ['weights', 'momentum', 'average', 'gradients']))`
    const recorded = run(script(true))
    expect(recorded).toEqual({ ...DONE, output: expect.stringMatching(/[0-9a-f]{64}$/) })
    expect(recorded.output.split('\n')).toHaveLength(10 + 2 * 3 + 1)
    expect(run(script(false))).toEqual(recorded)
  })

  test.each(['sgd', 'nesterov', 'adagrad', 'rmsprop'])('%s', (rule) => {
    const script = (capture: boolean) => `
      const { ${rule} } = await import('${PACKAGE}index.js')
      const model = await GoogLeNet.create({ ...small, capture: ${capture} })
      for (let step = 0; step < 4; step++) await model.step(noise(2, step), { optimizer: ${rule}(), rate: 1e-3 })
      console.log(await digest(model, ['weights']))`
    const recorded = run(script(true))
    expect(recorded.status).toBe(0)
    expect(run(script(false))).toEqual(recorded)
  })

  test('a loss that is not finite changes nothing', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      for (let step = 0; step < 3; step++) await model.step(noise(2, step), { rate: 0.01 })
      const before = await digest(model)
      const bad = noise(2, 3)
      bad.images[5] = NaN
      const error = await model.step(bad, { rate: 0.01 }).catch((error) => error)
      const kept = (await digest(model)) === before
      const { loss } = await model.step(noise(2, 3), { rate: 0.01 })
      console.log(error.code, kept, model.steps, Number.isFinite(loss), (await digest(model)) !== before)`
    expect(run(script)).toEqual({ ...DONE, output: 'GOOGLENET_ERR_NOT_FINITE true 4 true true' })
  })

  test('a gradient that is not finite changes nothing', () => {
    // Of a loss of 100 · 87 (Caffe's floor), on inputs of 1e37.
    const script = `
      const { native } = await import('${PACKAGE}native.js')
      const layers = [
        { name: 'data', op: 'input', channels: 1, height: 1, width: 1 },
        { name: 'fc', op: 'linear', src: 'data', outputs: 2 },
        { name: 'loss', op: 'loss', src: 'fc', weight: 100 },
      ]
      const session = new (native().Session)({ layers, device: 'cuda' })
      await session.initialize(1)
      await session.setParameters('weights', { 'fc.weight': { shape: [2, 1], data: Float32Array.of(1, -1) } })
      const step = (x, number) =>
        session.step({ shape: [1, 1, 1, 1], data: Float32Array.of(x) }, Int32Array.of(1), { rate: 0.1, momentum: 0.9, step: number })
      for (let i = 0; i < 3; i++) await step(1e-3, i)
      const all = async () => JSON.stringify([await session.getParameters('weights'), await session.getParameters('momentum')])
      const before = await all()
      const error = await step(1e37, 3).catch((error) => error)
      console.log(error.code, error.message.slice(0, 40), (await all()) === before)
      await step(1e-3, 4)
      console.log((await all()) !== before)`
    expect(run(script)).toEqual({
      ...DONE,
      output: expect.stringMatching(/^GOOGLENET_ERR_NOT_FINITE a gradient is not finite .* true\ntrue$/),
    })
  })

  test('no memory for the recording is a typed error, and the model works on', () => {
    // The first step of a batch size is never recorded: the second is what fails, and other sizes go on.
    const script = `
      const model = await GoogLeNet.create(small)
      const codes = []
      const before = []
      for (const n of [2, 2, 2, 3]) {
        before.push(await digest(model))
        codes.push(await model.step(noise(n, 0), { rate: 0.01 }).then(() => 'done', ({ code }) => code))
      }
      const [, first, , last] = before
      console.log(codes.join(' '), first === last, (await digest(model)) !== last)
      console.log((await model.predict({ shape: [1, 3, 48, 48], data: noise(1, 0).images })).length)`
    expect(run(script, { memory: 16, graph: 64 })).toEqual({
      ...DONE,
      output: 'done GOOGLENET_ERR_OUT_OF_MEMORY GOOGLENET_ERR_OUT_OF_MEMORY done true true\n1',
    })
  })

  test('disposed of at any moment of a recorded step', { timeout: 60_000 }, () => {
    const script = `
      const outcomes = new Set()
      for (let wait = 0; wait < 6; wait++) {
        const model = await GoogLeNet.create(small)
        for (let step = 0; step < 3; step++) await model.step(noise(2, step))
        const last = [3, 4].map((step) => model.step(noise(2, step)).then(() => 'done', ({ code }) => code))
        if (wait) await new Promise((resolve) => setTimeout(resolve, 3 * wait * wait))
        await model.dispose()
        for (const outcome of await Promise.all(last)) outcomes.add(outcome)
      }
      console.log([...outcomes].sort().join(' '))`
    expect(run(script)).toEqual({ ...DONE, output: 'GOOGLENET_ERR_DISPOSED done' })
  })

  test('process.exit during a recorded step keeps the exit code', () => {
    const script = `const model = await GoogLeNet.create(small)
      for (let step = 0; step < 2; step++) await model.step(noise(16, step))
      void model.step(noise(16, 2)); setTimeout(() => process.exit(7), 5)`
    expect(run(script)).toEqual({ status: 7, signal: null, output: '' })
  })

  test('aborted at any moment, a step has been made whole or not at all', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      const plain = await GoogLeNet.create({ ...small, capture: false })
      const outcomes = new Set()
      let took = 0
      for (let i = 0; i < 40; i++) {
        const controller = new AbortController()
        const before = await digest(model)
        const steps = model.steps
        const since = performance.now()
        const running = model.step(noise(8, i), { rate: 0.01, signal: controller.signal })
        // Timers are too coarse for moments within a step: between its start and shortly after its usual end.
        while (performance.now() - since < (took * (i % 8)) / 6);
        if (i % 5 !== 4) controller.abort()
        const code = await running.then(() => 'done', ({ code }) => code)
        outcomes.add(code)
        if ((code === 'done') === ((await digest(model)) === before)) console.log('half a step', code)
        if (code !== 'done') continue
        if (i % 5 === 4) took = performance.now() - since
        plain.countSteps(steps)
        await plain.step(noise(8, i), { rate: 0.01 })
      }
      console.log([...outcomes].sort().join(' '), (await digest(model)) === (await digest(plain)))`
    expect(run(script)).toEqual({ ...DONE, output: 'ABORT_ERR done true' })
  })
})
