/** A device that is missing something, or ends in the middle: what people are told, and that nothing is left broken. */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { buildSimulator, SIMULATED_CUDNN, type Simulation } from '../simulator/simulator.js'
import { useFolder } from '../train/pictures.js'
import { DONE, type Environment, inChild, on, PACKAGE } from './child.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

const ADDON = 'build/Release/googlenet.node'

/** What creating a model says. */
function refusal(env: Environment, device = 'cuda'): string {
  const script = `await GoogLeNet.create({ ...small, device: '${device}' })
    .then(() => console.log('created'), ({ code, message }) => console.log(code, message))`
  return inChild(script, env).output
}

function doctor(env: Environment): { available: boolean; description: string } {
  const { stdout } = spawnSync(process.execPath, [MAIN, 'doctor', '--json'], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  return JSON.parse(stdout).devices.find(({ device }: { device: string }) => device === 'cuda')
}

const UNAVAILABLE = 'GOOGLENET_ERR_DEVICE_UNAVAILABLE'

describe.skipIf(nativeAbsent)(`CUDA devices that lack something${nativeSkipReason}`, () => {
  const folder = useFolder()
  beforeAll(buildSimulator, 600_000)

  /** A simulated cuDNN without some of its libraries. */
  function cudnnWithout(...names: string[]): string {
    const copy = join(folder.path, names.join('+'))
    cpSync(SIMULATED_CUDNN, copy, { recursive: true })
    for (const name of names) rmSync(join(copy, name))
    return copy
  }

  /** Beside another folder on the loader's path, which has the part that this one lacks. */
  function partElsewhere(): Environment {
    const name = 'libcudnn_engines_tensor_ir.so.9'
    const elsewhere = join(folder.path, 'elsewhere')
    mkdirSync(elsewhere, { recursive: true })
    copyFileSync(join(SIMULATED_CUDNN, 'libcudnn_ops.so.9'), join(elsewhere, name))
    return on({}, { LD_LIBRARY_PATH: elsewhere })
  }

  /** An addon beside a backend that is made of `source`, or of no library at all. */
  function otherBackend(name: string, source?: string): Environment {
    const release = join(folder.path, name, 'build', 'Release')
    mkdirSync(release, { recursive: true })
    copyFileSync(fileURLToPath(new URL(`../../${ADDON}`, import.meta.url)), join(folder.path, name, ADDON))
    const library = join(release, 'googlenet_cuda.so')
    if (source === undefined) writeFileSync(library, 'no library')
    else {
      writeFileSync(`${library}.c`, source)
      execFileSync('cc', ['-shared', '-fPIC', '-o', library, `${library}.c`])
    }
    return { GOOGLENET_PREBUILD: join(folder.path, name) }
  }

  /** A build without the backend. */
  function addonAlone(): string {
    cpSync(fileURLToPath(new URL(`../../${ADDON}`, import.meta.url)), join(folder.path, ADDON))
    return folder.path
  }

  it.each<[string, () => Environment, RegExp]>([
    [
      'the backend',
      () => ({ GOOGLENET_PREBUILD: addonAlone() }),
      /not built: there is no .*googlenet_cuda\.so.*npx googlenet build --cuda/,
    ],
    ['a backend that can be loaded', () => otherBackend('text'), /could not be loaded: .*googlenet_cuda\.so/],
    [
      'a backend of its own version',
      () => otherBackend('old', 'static int version = 1; int* googlenet_cuda_backend(void) { return &version; }'),
      /is of another version of googlenet. Build it again: npx googlenet build --cuda/,
    ],
    ['a GPU that is new enough', () => on({}, { SIMULATOR_CAPABILITY: '70' }), /has compute capability 7\.0, but 7\.5/],
    ['a driver', () => on({ driver: 0 }), /no NVIDIA driver was found.*580 or newer/],
    ['a new driver', () => on({ driver: 12080 }), /driver is too old: it knows CUDA 12\.8\..*580 or newer/],
    ['a GPU', () => on({ devices: 0 }), /sees no GPU.*CUDA_VISIBLE_DEVICES/],
    [
      'cuDNN',
      () => on({}, { GOOGLENET_CUDNN: folder.path }),
      /GOOGLENET_CUDNN is '.*', but that folder has no libcudnn\.so\.9/,
    ],
    [
      'a part of cuDNN',
      () => on({}, { GOOGLENET_CUDNN: cudnnWithout('libcudnn_heuristic.so.9') }),
      /not whole: libcudnn_heuristic\.so\.9 is missing.*pip install nvidia-cudnn-cu13/,
    ],
    [
      'a library that cuDNN needs',
      () => on({}, { GOOGLENET_CUDNN: cudnnWithout('libcublasLt.so.13') }),
      /needs libcublasLt\.so\.13.*pip install/,
    ],
    [
      'a new cuDNN',
      () => on({}, { SIMULATOR_CUDNN_VERSION: '90600', SIMULATOR_PART_VERSION: '90600' }),
      /is 9\.6\.0, but at least 9\.8\.0/,
    ],
    [
      'a cuDNN that is not too new',
      () => on({}, { SIMULATOR_CUDNN_VERSION: '100000', SIMULATOR_PART_VERSION: '100000' }),
      /is 10\.0\.0, but at least 9\.8\.0 and below 10/,
    ],
    [
      'a part that lies elsewhere',
      partElsewhere,
      /has no libcudnn_engines_tensor_ir\.so\.9, but the loader finds one elsewhere: two versions would be mixed/,
    ],
    [
      'one version of cuDNN',
      () => on({}, { SIMULATOR_PART_VERSION: '92400' }),
      /mixed set: libcudnn_graph\.so\.9 .* belongs to 9\.24\.0, libcudnn\.so\.9 is 9\.28\.1/,
    ],
  ])('without %s: an error says so, and doctor too', (_what, environment, words) => {
    const env = environment()
    const text = refusal(env)
    expect(text).toMatch(words)
    expect(text).toContain(`${UNAVAILABLE} device 'cuda' is not available: `)
    expect(text).toContain("Use device 'cpu'")
    expect(doctor(env)).toEqual({ device: 'cuda', available: false, description: expect.stringMatching(words) })
  })

  it('a number that no GPU has', () => {
    expect(refusal(on({ devices: 2 }), 'cuda:2')).toMatch(/no device 'cuda:2': 2 GPUs were found, counted from 0/)
    expect(refusal(on({ devices: 2 }), 'cuda:1')).toBe('created')
  })

  it('doctor outlives a backend that ends the process', () => {
    const { available, description } = doctor(on({}, { SIMULATOR_ABORT: '1' }))
    expect({ available, description }).toEqual({
      available: false,
      description: expect.stringMatching(/ended the process \(SIGABRT\)/),
    })
  })

  it("'auto' takes a GPU that can be used, else the processor, or what GOOGLENET_DEVICE says", () => {
    const script = `
      const { device, deviceReason } = await GoogLeNet.create({ classes: 3, inputSize: 48, width: 0.125 })
      console.log(device + ': ' + deviceReason)`
    const auto = (env: Environment) => inChild(script, { GOOGLENET_DEVICE: '', ...env }).output
    expect(auto(on({}))).toMatch(/^cuda: 'auto' takes a GPU where there is one: cuda:0, simulated device/)
    expect(auto(on({ devices: 0 }))).toMatch(/^cpu: 'auto' found no GPU that can be used: .*sees no GPU/)
    expect(auto(on({ devices: 2 }, { GOOGLENET_DEVICE: 'cuda:1' }))).toBe('cuda:1: asked for by GOOGLENET_DEVICE')
    expect(auto(on({}, { GOOGLENET_DEVICE: 'gpu' }))).toMatch(/GOOGLENET_DEVICE: expected 'auto', .*, got 'gpu'/)
  })

  it('doctor describes a device that works', () => {
    const { available, description } = doctor(on({}))
    expect({ available, description }).toEqual({
      available: true,
      description: expect.stringMatching(/^cuda:0, simulated device, .*cuDNN 9\.28\.1 in /),
    })
  })
})

describe.skipIf(nativeAbsent)(`models on simulated CUDA${nativeSkipReason}`, () => {
  beforeAll(buildSimulator, 600_000)
  const run = (script: string, simulation: Simulation = {}) => inChild(script, on(simulation))

  test('out of memory is a typed error, and the model works on with less', () => {
    const script = `
      const model = await GoogLeNet.create({ ...small, dropout: { main: 0, auxiliary: 0 } })
      const loss = async (n) => (await model.step(batch(n), { rate: 0 })).loss
      const before = await loss(2)
      const error = await model.step(batch(1000)).catch((error) => error)
      console.log(error.code, error.message, (await loss(2)) === before)`
    const { output, ...end } = run(script, { memory: 64 })
    expect(end).toEqual(DONE)
    expect(output).toMatch(/^GOOGLENET_ERR_OUT_OF_MEMORY \d+ MiB could not be allocated on 'cuda:0'.* true$/)
  })

  test('too little memory for the parameters', () => {
    expect(
      run(`await GoogLeNet.create({ ...small, width: 1 }).catch((e) => console.log(e.code))`, { memory: 8 }),
    ).toEqual({ ...DONE, output: 'GOOGLENET_ERR_OUT_OF_MEMORY' })
  })

  test('memory() is what the device gave, and dispose gives all of it back', () => {
    const script = (models: number) => `
      for (let i = 0; i < ${models}; i++) {
        const model = await GoogLeNet.create(small)
        await model.step(batch(32))
        const { parameters, arena, scratch } = model.memory()
        console.log((parameters + arena + scratch) / 2 ** 20)
        await model.dispose()
      }`
    const size = Number(run(script(1)).output)
    expect(size).toBeGreaterThan(5)
    // Beside it lie the staged input, less than 1 MiB, and half a MiB of partial sums. Two at once would not fit.
    const { output, ...end } = run(script(3), { memory: Math.ceil(size) + 2 })
    expect({ ...end, sizes: output.split('\n').map(Number) }).toEqual({ ...DONE, sizes: [size, size, size] })
    expect(run(script(1), { memory: Math.floor(size) }).output).toContain('GOOGLENET_ERR_OUT_OF_MEMORY')
  })

  test('two models side by side give what each gives alone', () => {
    const script = `
      const losses = async (models) => Promise.all(models.map(async (model) => {
        const list = []
        for (let i = 0; i < 3; i++) list.push((await model.step(batch(2), { rate: 0.01 })).loss)
        return list.join()
      }))
      const make = (seed) => GoogLeNet.create({ ...small, seed })
      const alone = [await losses([await make(1)]), await losses([await make(2)])].flat()
      const together = await losses([await make(1), await make(2)])
      console.log(alone[0] !== alone[1], together.join(' ') === alone.join(' '))`
    expect(run(script)).toEqual({ ...DONE, output: 'true true' })
  })

  test('tensors longer than all pinned memory cross whole', () => {
    // 14.6 MB each way, in pieces of 4 MiB through three slots.
    const script = `
      const { native } = await import('${PACKAGE}native.js')
      const layers = [
        { name: 'data', op: 'input', channels: 3, height: 450, width: 450 },
        { name: 'same', op: 'pool', kind: 'max', src: 'data', kernel: 1 },
      ]
      const session = new (native().Session)({ layers, device: 'cuda' })
      const shape = [6, 3, 450, 450]
      const data = new Float32Array(6 * 3 * 450 * 450).map((_, i) => i % 8191)
      const { outputs } = await session.run({ inputs: { data: { shape, data } }, training: false, outputs: ['same'] })
      console.log(outputs.same.data.length, outputs.same.data.every((value, i) => value === data[i]))`
    expect(run(script)).toEqual({ ...DONE, output: '3645000 true' })
  })

  test('two models on two devices give what each gives alone, in the memory of its own', () => {
    const script = `
      const losses = async (models) => Promise.all(models.map(async (model) => {
        const list = [model.device]
        for (let i = 0; i < 4; i++) list.push((await model.step(batch(2), { rate: 0.01 })).loss)
        const { data } = await model.features({ shape: [1, 3, 48, 48], data: batch(1).images }, 'prob')
        return list.concat(...data).join()
      }))
      const make = (seed, device) => GoogLeNet.create({ ...small, seed, device, width: 0.5 })
      const alone = []
      for (const [seed, device] of [[1, 'cuda:0'], [2, 'cuda:1']]) {
        const model = await make(seed, device)
        alone.push(...(await losses([model])))
        await model.dispose()
      }
      const models = [await make(1, 'cuda:0'), await make(2, 'cuda:1')]
      const together = await losses(models)
      const third = await make(3, 'cuda:1').then((model) => model.step(batch(2))).catch(({ code, message }) => code + / on .cuda:1./.test(message))
      console.log(alone.join(' ') === together.join(' '), alone[0] !== alone[1], third)`
    expect(run(script, { devices: 2, memory: 40 })).toEqual({
      ...DONE,
      output: 'true true GOOGLENET_ERR_OUT_OF_MEMORYtrue',
    })
  })

  test('abort and dispose while a step runs', () => {
    const script = `
      const model = await GoogLeNet.create(small)
      const controller = new AbortController()
      const running = model.step(batch(64), { signal: controller.signal }).catch((error) => error)
      setImmediate(() => controller.abort())
      const error = await running
      const after = Number.isFinite((await model.step(batch(1))).loss)
      const waiting = [0, 1].map(() => model.step(batch(16)).then(() => 'done', ({ code }) => code))
      await model.dispose()
      console.log(error.code, after, (await Promise.all(waiting)).at(-1))`
    expect(run(script)).toEqual({ ...DONE, output: 'ABORT_ERR true GOOGLENET_ERR_DISPOSED' })
  })

  test('process.exit while a step runs keeps the exit code', () => {
    const script = `const model = await GoogLeNet.create(small)
      void model.step(batch(64)); setTimeout(() => process.exit(7), 20)`
    expect(run(script)).toEqual({ status: 7, signal: null, output: '' })
  })

  test('two workers push into one store, each on a stream of its own', () => {
    const script = (device: string) => `
      const { sgd } = await import('${PACKAGE}index.js')
      const model = await GoogLeNet.create({ ...small, device: '${device}' })
      const workers = [model.worker(), model.worker()]
      const push = { optimizer: sgd(), rate: 0.01, frozen: [] }
      const compute = (worker, step) =>
        worker.compute(batch(2), { fetch: true, step, push, local: { rate: 0.01, frozen: [] } })
      for (let step = 0; step < 4; step++) console.log((await compute(workers[step % 2], step)).loss)
      const rounds = await Promise.all(workers.map(async (worker) => [await compute(worker, 4), await compute(worker, 5)]))
      const all = rounds.flat()
      console.log(all.every(({ loss }) => Number.isFinite(loss)), Math.max(...all.map(({ pushed }) => pushed.updates)))
      await model.dispose()`
    const [cuda, cpu] = ['cuda', 'cpu'].map((device) => run(script(device)))
    expect(cuda).toEqual({ ...DONE, output: expect.stringMatching(/true 8$/) })
    const losses = [cuda, cpu].map((result) => result!.output.split('\n').slice(0, 4).map(Number))
    for (let step = 0; step < 4; step++) expect(losses[0]![step]! / losses[1]![step]!).toBeCloseTo(1, 4)
  })

  test('two runs of training give the same bits', () => {
    const script = `const model = await GoogLeNet.create(small)
      for (let i = 0; i < 3; i++) console.log((await model.step(batch(3), { rate: 0.01 })).gradientNorm)`
    const first = run(script)
    expect(first.status).toBe(0)
    expect(run(script)).toEqual(first)
  })
})
