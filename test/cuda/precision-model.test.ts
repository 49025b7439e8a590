/** Precision as users meet it: what a model says, refuses, holds in memory and saves; workers. On the simulated device. */
import { beforeAll, describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'
import { DONE, type Environment, inChild, on, PACKAGE } from './child.js'

describe.skipIf(nativeAbsent)(`models in bf16 on simulated CUDA${nativeSkipReason}`, () => {
  const folder = useFolder()
  beforeAll(buildSimulator, 600_000)
  const run = (script: string, more: Environment = {}, memory?: number) => inChild(script, on({ memory }, more))

  test("a model says its precision; 'auto' is f32", () => {
    const script = `for (const precision of [undefined, 'auto', 'f32', 'tf32', 'bf16']) {
      const model = await GoogLeNet.create({ ...small, precision })
      console.log(model.precision, model.precisionReason)
      await model.dispose()
    }`
    const auto = "f32 'auto' is f32, which differs from device to device by rounding alone"
    const { output, ...end } = run(script)
    expect(end).toEqual(DONE)
    expect(output.split('\n')).toEqual([auto, auto, 'f32 asked for', 'tf32 asked for', 'bf16 asked for'])
  })

  test('a GPU without the tensor cores for it is refused', () => {
    const script = `for (const precision of ['f32', 'tf32', 'bf16'])
      await GoogLeNet.create({ ...small, precision }).then(() => console.log('created'), (e) => console.log(e.code, e.message))`
    const lines = run(script, { SIMULATOR_CAPABILITY: '75' }).output.split('\n')
    expect(lines[0]).toBe('created')
    for (const line of lines.slice(1))
      expect(line).toMatch(/^GOOGLENET_ERR_UNSUPPORTED .* capability 7\.5; tf32 and bf16 need 8\.0.*precision 'f32'$/)
  })

  test('memory() is what the device gave, and less than in f32', () => {
    const script = (precision: string) => `
      const model = await GoogLeNet.create({ ...small, precision: '${precision}' })
      await model.step(batch(32))
      console.log(JSON.stringify(model.memory()))`
    const [f32, bf16] = ['f32', 'bf16'].map((precision) => JSON.parse(run(script(precision)).output))
    expect(bf16.parameters).toBe(f32.parameters)
    expect(bf16.kernels).toBeGreaterThan(f32.kernels) // the weights that are multiplied
    expect(bf16.arena / f32.arena).toBeLessThan(0.6)
    const size = (bf16.parameters + bf16.arena + bf16.scratch + bf16.kernels) / 2 ** 20
    expect(run(script('bf16'), {}, Math.ceil(size))).toMatchObject(DONE)
    expect(run(script('bf16'), {}, Math.floor(size)).output).toContain('GOOGLENET_ERR_OUT_OF_MEMORY')
  })

  test('files are f32, whatever the precision, and load in any', () => {
    const script = `
      const { readSafetensors } = await import('${PACKAGE}weights/safetensors.js')
      const at = (name) => '${folder.path}/' + name + '.safetensors'
      const trained = await GoogLeNet.create({ ...small, precision: 'bf16' })
      for (let i = 0; i < 2; i++) await trained.step(batch(2), { rate: 0.01 })
      await trained.save(at('bf16'))
      const { tensors } = await readSafetensors(at('bf16'))
      const data = [...tensors.values()].map(({ data }) => data)
      // Rounded masters would have the lower half of every number empty.
      const masters = data.flatMap((values) => [...new Uint32Array(Float32Array.from(values).buffer)])
      console.log(data.every((values) => values instanceof Float32Array), masters.some((bits) => bits & 0xffff))
      for (const precision of ['f32', 'tf32', 'bf16']) {
        const model = await GoogLeNet.load(at('bf16'), { device: 'cuda', precision })
        await model.save(at(precision + '-again'))
        const again = await readSafetensors(at(precision + '-again'))
        console.log(model.precision, [...tensors].every(([name, { data }]) =>
          Buffer.compare(Buffer.from(data.buffer, data.byteOffset, data.byteLength), Buffer.from(
            again.tensors.get(name).data.buffer, again.tensors.get(name).data.byteOffset, data.byteLength)) === 0))
      }`
    expect(run(script)).toEqual({ ...DONE, output: 'true true\nf32 true\ntf32 true\nbf16 true' })
  })

  test('the copy of the weights follows every change of them', () => {
    const script = `
      const loss = async (model) => (await model.step(batch(2), { rate: 0 })).loss
      const options = { ...small, dropout: { main: 0, auxiliary: 0 }, precision: 'bf16' }
      const model = await GoogLeNet.create(options), other = await GoogLeNet.create({ ...options, seed: 2 })
      const first = await loss(model)
      await model.step(batch(2), { rate: 0.01 })
      const moved = await loss(model)
      await model.setParameters('weights', await other.parameters('weights'))
      console.log(first !== moved, (await loss(model)) === (await loss(other)))`
    expect(run(script)).toEqual({ ...DONE, output: 'true true' })
  })

  test('workers compute in the precision of their model', () => {
    const script = (precision: string) => `
      const { sgd } = await import('${PACKAGE}index.js')
      const model = await GoogLeNet.create({ ...small, precision: '${precision}' })
      const worker = model.worker()
      const push = { optimizer: sgd(), rate: 0.01, frozen: [] }
      for (let step = 0; step < 3; step++) {
        const { loss } = await worker.compute(batch(2), { fetch: true, step, push, local: { rate: 0.01, frozen: [] } })
        console.log(loss)
      }
      await model.dispose()`
    const [f32, bf16] = ['f32', 'bf16'].map((precision) => run(script(precision)).output.split('\n').map(Number))
    expect(bf16).toHaveLength(3)
    for (let step = 0; step < 3; step++) {
      expect(bf16![step]).not.toBe(f32![step])
      expect(bf16![step]! / f32![step]!).toBeCloseTo(1, 2)
    }
  })
})
