/**
 * Steps side by side on several streams of the simulated device: the bits of one stream, whichever stream runs ahead of
 * the others; and a wait that is forgotten shows.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, type Simulation } from '../simulator/simulator.js'
import { DONE, HELPERS, inChild, on, PACKAGE } from './child.js'

/** What runs when nothing else orders it (test/simulator/streams.cc). */
const orders: Record<string, Record<string, string>> = {
  'as late as possible': {},
  'in turns': { SIMULATOR_TURNS: '1' },
  ...Object.fromEntries([0, 1, 2, 3].map((n) => [`stream ${n} first`, { SIMULATOR_AHEAD: String(n) }])),
}

/** Outputs, gradients and five steps, evaluations between: everything that a step computes, as text and digests. */
const TRAINING = `
  const train = async (options) => {
    const model = await GoogLeNet.create({ ...small, seed: 5, ...options })
    const lines = []
    for (let step = 0; step < 5; step++) {
      const { loss, gradientNorm, losses } = await model.step(noise(2, step), { rate: 0.02 })
      lines.push(loss, gradientNorm, JSON.stringify(losses), await digest(model, ['weights', 'gradients']))
      if (step % 2) lines.push((await model.features({ shape: [2, 3, 48, 48], data: noise(2, 9 + step).images }, 'prob')).data.join())
    }
    await model.dispose()
    return lines.join('\\n')
  }
`

describe.skipIf(nativeAbsent)(`several streams${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  const run = (script: string, simulation: Simulation = {}, more = {}) =>
    inChild(HELPERS + TRAINING + script, on(simulation, more))

  describe.each<Simulation>([{}, { way: 'packed' }, { precision: 'bf16' }])(
    'the bits of one stream: %o',
    ({ way, precision = 'f32' }) => {
      test.each(Object.keys(orders))('%s', { timeout: 100_000 }, (order) => {
        const script = `
        const one = await train({ precision: '${precision}' })
        console.log(one.split('\\n').length)
        for (const streams of [2, 4]) for (const capture of [true, false])
          console.log(streams, capture, (await train({ precision: '${precision}', streams, capture })) === one)`
        expect(run(script, { way }, orders[order])).toEqual({
          ...DONE,
          output: '22\n2 true true\n2 false true\n4 true true\n4 false true',
        })
      })
    },
  )

  test('a wait that is forgotten shows when the stream that should wait runs ahead', { timeout: 100_000 }, () => {
    // A module with a max pool and a head, told step by step. Images differ from step to step, so that what an earlier
    // one left behind does not pass for what is read too early.
    const script = `
      const { native } = await import('${PACKAGE}native.js')
      const conv = (name, src, kernel) => ({ name, op: 'conv', src, outputs: 8, kernel, pad: (kernel - 1) / 2, relu: true })
      const layers = [
        { name: 'data', op: 'input', channels: 8, height: 5, width: 5 },
        conv('stem', 'data', 3),
        conv('one', 'stem', 1), conv('reduce', 'stem', 1), conv('three', 'reduce', 3),
        { name: 'pool', op: 'pool', kind: 'max', src: 'stem', kernel: 3, pad: 1 }, conv('projection', 'pool', 1),
        { name: 'all', op: 'concat', src: ['one', 'three', 'projection'] },
        { name: 'head', op: 'linear', src: 'stem', outputs: 4 },
        { name: 'fc', op: 'linear', src: 'all', outputs: 4 },
        { name: 'side', op: 'loss', src: 'head' },
        { name: 'loss', op: 'loss', src: 'fc' },
      ]
      const steps = async (ahead, forgotten) => {
        const session = new (native().Session)({ layers, device: 'cuda', capture: false, streams: 4 })
        await session.initialize(1)
        process.env.SIMULATOR_AHEAD = String(ahead)
        const lines = []
        for (let step = 0; step < 2; step++) {
          if (step) process.env.SIMULATOR_FORGET = String(forgotten)
          const data = new Float32Array(2 * 8 * 25).map((_, i) => Math.sin(i * (step + 1)))
          const result = await session.step({ shape: [2, 8, 5, 5], data }, Int32Array.of(1, 2), { rate: 0.1, step })
          lines.push(JSON.stringify(result), JSON.stringify(await session.getParameters('gradients')))
        }
        delete process.env.SIMULATOR_FORGET
        await session.dispose()
        return lines.join()
      }
      const right = await steps(-1, -1)
      const seen = []
      for (let number = 0; number < 30; number++) {
        let differs = false
        for (let ahead = 0; ahead < 4 && !differs; ahead++) differs = (await steps(ahead, number)) !== right
        if (differs) seen.push(number)
      }
      console.log((await steps(0, -1)) === right, (await steps(3, -1)) === right)
      console.log(seen.join())`
    const { output, ...end } = run(script)
    expect(end).toEqual(DONE)
    const [rights, list] = output.split('\n')
    expect(rights).toBe('true true')
    const seen = list!.split(',').map(Number)
    expect(seen.length).toBeGreaterThan(9)
    // Unseen are none but waits of three streams in two forks and in the join between: what else they wait for implies it.
    expect(seen.at(-1)! + 1 - seen.length).toBeLessThanOrEqual(3 * 3)
  })

  test('aborted at any moment, a step has been made whole or not at all', () => {
    const script = (capture: boolean) => `
      const model = await GoogLeNet.create({ ...small, streams: 4, capture: ${capture} })
      const plain = await GoogLeNet.create({ ...small, capture: false })
      const outcomes = new Set()
      for (let i = 0; i < 16; i++) {
        const controller = new AbortController()
        const before = await digest(model)
        const steps = model.steps
        const running = model.step(noise(4, i), { rate: 0.01, signal: controller.signal })
        if (i % 4 === 2) setImmediate(() => controller.abort())
        if (i % 4 === 3) controller.abort()
        const code = await running.then(() => 'done', ({ code }) => code)
        outcomes.add(code)
        if ((code === 'done') === ((await digest(model)) === before)) console.log('half a step', code)
        if (code !== 'done') continue
        plain.countSteps(steps)
        await plain.step(noise(4, i), { rate: 0.01 })
      }
      console.log([...outcomes].sort().join(' '), (await digest(model)) === (await digest(plain)))`
    for (const capture of [true, false])
      expect(run(script(capture), {}, { SIMULATOR_AHEAD: '2' })).toEqual({
        ...DONE,
        output: expect.stringMatching(/^(ABORT_ERR )?done true$/),
      })
  })

  test('out of memory, dispose and exit', () => {
    const memory = `
      const model = await GoogLeNet.create({ ...small, streams: 4, dropout: { main: 0, auxiliary: 0 } })
      const loss = async (n) => (await model.step(batch(n), { rate: 0 })).loss
      const before = [await loss(2), await loss(2)]
      const error = await model.step(batch(1000)).catch((error) => error)
      console.log(error.code, before.includes(await loss(2)))
      const waiting = [0, 1].map(() => model.step(batch(16)).then(() => 'done', ({ code }) => code))
      await model.dispose()
      console.log((await Promise.all(waiting)).filter((code) => code !== 'done' && code !== 'GOOGLENET_ERR_DISPOSED').length)`
    expect(run(memory, { memory: 64 })).toEqual({
      ...DONE,
      output: 'GOOGLENET_ERR_OUT_OF_MEMORY true\n0',
    })
    const exit = `const model = await GoogLeNet.create({ ...small, streams: 4 })
      void model.step(batch(64)); setTimeout(() => process.exit(7), 20)`
    expect(run(exit)).toEqual({ status: 7, signal: null, output: '' })
  })

  test('every stream has scratch memory of its own, and memory() counts it', () => {
    const script = (streams: number) => `
      const model = await GoogLeNet.create({ ...small, streams: ${streams} })
      await model.step(batch(16))
      console.log(JSON.stringify(model.memory()))`
    const [one, two, four] = [1, 2, 4].map((streams) => JSON.parse(run(script(streams), { way: 'packed' }).output))
    const lane = two.scratch - one.scratch
    expect(lane).toBeGreaterThan(0)
    expect(four).toEqual({ ...one, scratch: one.scratch + 3 * lane, total: one.total + 3 * lane })
    const size = (four.parameters + four.arena + four.scratch) / 2 ** 20
    expect(run(script(4), { way: 'packed', memory: Math.ceil(size) + 2 }).status).toBe(0)
    expect(run(script(4), { way: 'packed', memory: Math.floor(size) }).output).toContain('GOOGLENET_ERR_OUT_OF_MEMORY')
  })

  test('a number that is none', () => {
    const script = `
      for (const streams of [0, 9, 1.5, '2'])
        await GoogLeNet.create({ ...small, streams }).catch(({ code, message }) => console.log(code, message))
      console.log((await GoogLeNet.create({ ...small, device: 'cpu', streams: 4 })).device)`
    const { output, ...end } = run(script)
    expect(end).toEqual(DONE)
    const lines = output.split('\n')
    for (const line of lines.slice(0, 4))
      expect(line).toMatch(/^GOOGLENET_ERR_INVALID_ARGUMENT streams: expected an integer .*8/)
    expect(lines[4]).toBe('cpu')
  })
})
