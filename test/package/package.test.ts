/**
 * What `npm publish` would send, as a project finds it in its node_modules: beside its dependencies alone, with the
 * binary of a release and without one, and as something to compile.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { googlenet } from '../cli/command.js'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'
import { temporaryFolder } from '../train/pictures.js'

/** Of all processes. */
const commandLines = () =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((id) => {
      try {
        return readFileSync(`/proc/${id}/cmdline`, 'utf8')
      } catch {
        return '' // ended meanwhile
      }
    })

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe.skipIf(nativeAbsent)(`the package${nativeSkipReason}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const at = (...names: string[]) => join(folder.path, ...names)
  const installed = (...names: string[]) => at('node_modules', 'googlenet', ...names)
  const run = (command: string, args: string[], env: Record<string, string> = {}) => {
    const { GOOGLENET_PREBUILD: _, ...inherited } = process.env
    const end = spawnSync(command, args, {
      ...{ cwd: folder.path, encoding: 'utf8', timeout: 100_000 },
      env: { ...inherited, GOOGLENET_DEVICE: 'auto', PREBUILDS_ONLY: '1', ...env },
    })
    return { code: end.status, output: (end.stdout + end.stderr).trim() }
  }
  const node = (script: string, format = 'module') => run(process.execPath, [`--input-type=${format}`, '-e', script])
  const command = (...args: string[]) => run(process.execPath, [installed('dist/cli/main.js'), ...args])

  beforeAll(async () => {
    folder = await temporaryFolder()
    const npm = (args: string[]) => execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
    npm(['pack', '--ignore-scripts', '--pack-destination', folder.path])
    mkdirSync(installed(), { recursive: true })
    const [tarball] = readdirSync(folder.path).filter((name) => name.endsWith('.tgz'))
    execFileSync('tar', ['xf', at(tarball!), '--strip-components=1', '-C', installed()])
    execFileSync(process.execPath, [join(ROOT, 'scripts/prebuilds.mjs'), `--output=${installed('prebuilds')}`])
    // npm ls fails where something optional is absent, and lists the rest.
    const { stdout } = spawnSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: ROOT, encoding: 'utf8' })
    const modules = join(ROOT, 'node_modules')
    for (const path of stdout.trim().split('\n')) {
      const name = relative(modules, path)
      if (name.startsWith('..') || name.includes('node_modules')) continue
      mkdirSync(dirname(at('node_modules', name)), { recursive: true })
      symlinkSync(path, at('node_modules', name))
    }
    writeFileSync(at('package.json'), '{"type": "module"}')
  }, 600_000)
  afterAll(() => folder.remove())

  test('brings the binary and the licences of what is in it', () => {
    const [place] = readdirSync(installed('prebuilds'))
    expect(place).toBe(`${process.platform}-${process.arch}`)
    expect(readdirSync(installed('prebuilds', place!))).toContainEqual(expect.stringMatching(/^googlenet\.\w+\.node$/))
    const licences = readdirSync(installed('prebuilds', place!, 'licenses')).join()
    expect(licences).toMatch(/dnnl-LICENSE/)
    expect(licences).toMatch(/libjpeg-turbo-LICENSE/)
    expect(readdirSync(installed())).not.toContain('binding.gyp')
    expect(readdirSync(installed())).toContain('NOTICE')
  })

  const use = `
    const model = await GoogLeNet.create({ classes: 3, inputSize: 48, width: 0.125, device: 'cpu' })
    const images = { data: new Float32Array(2 * 3 * 48 * 48).fill(1), shape: [2, 3, 48, 48] }
    const { loss } = await model.step({ images: images.data, labels: [0, 1] }, { optimizer: sgd(), rate: 0.01 })
    await model.save('saved.safetensors')
    const again = await GoogLeNet.load('saved.safetensors', { device: 'cpu' })
    const [a, b] = [(await model.features(images, 'prob')).data, (await again.features(images, 'prob')).data]
    console.log(loss > 0 && a.join() === b.join() && a.length === 6)`

  test('is imported, required, and computes', () => {
    expect(node(`import { GoogLeNet, sgd } from 'googlenet'\n${use}`)).toEqual({ code: 0, output: 'true' })
    const required = `const { GoogLeNet, sgd } = require('googlenet')\nvoid (async () => {${use}})()`
    expect(node(required, 'commonjs')).toEqual({ code: 0, output: 'true' })
  })

  test('has a command that finds nothing wrong', () => {
    const { code, output } = command('doctor', '--json')
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toMatchObject({ problems: [], devices: [{ device: 'cpu', available: true }, {}] })
    const { version } = JSON.parse(readFileSync(installed('package.json'), 'utf8'))
    expect(command('--version')).toEqual({ code: 0, output: version })
  })

  test('is typed for strict users', { timeout: 200_000 }, () => {
    const script = `import { GoogLeNet, ImageFolder, sgd, type GoogLeNetError } from 'googlenet'
      const model: GoogLeNet = await GoogLeNet.load('x.safetensors', { classes: 5 })
      const [best] = await model.predict('cat.jpg', { top: 5 })
      const p: number | undefined = best?.probability
      for await (const event of model.fit(await ImageFolder.open('data'), { epochs: 1, optimizer: sgd() }))
        if (event.type === 'epoch') console.log(event.loss.toFixed(2), p)
      export const code = (error: GoogLeNetError) => error.code satisfies \`GOOGLENET_ERR_\${string}\`
      // @ts-expect-error: an option that does not exist
      await GoogLeNet.create({ clases: 5 })`
    writeFileSync(at('use.ts'), script)
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node', '--lib', 'esnext']
    const strict = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2022',
      '--module',
      'nodenext',
    ]
    expect(run(process.execPath, [tsc, ...strict, ...types, 'use.ts'])).toEqual({ code: 0, output: '' })
  })

  test('says how to come to a GPU', () => {
    const place = installed('prebuilds', `${process.platform}-${process.arch}`)
    const backend = join(place, 'googlenet_cuda.so')
    const shipped = readdirSync(place).includes('googlenet_cuda.so')
    if (shipped) renameSync(backend, at('aside.so'))
    const { output } = node(`import { GoogLeNet } from 'googlenet'
      await GoogLeNet.create({ device: 'cuda' }).catch(({ code, message }) => console.log(code, message))`)
    if (shipped) renameSync(at('aside.so'), backend)
    expect(output).toContain(
      "GOOGLENET_ERR_DEVICE_UNAVAILABLE device 'cuda' is not available: the CUDA backend is not built",
    )
    expect(output).toContain('npx googlenet build --cuda')
  })

  describe('without a binary for the machine', () => {
    beforeAll(() => renameSync(installed('prebuilds'), at('prebuilds')))
    afterAll(() => renameSync(at('prebuilds'), installed('prebuilds')))

    test('says how to compile one', () => {
      const { output } = node(`import { GoogLeNet } from 'googlenet'
        await GoogLeNet.create().catch(({ code, message }) => console.log(code, message))`)
      expect(output).toContain('GOOGLENET_ERR_NATIVE_NOT_FOUND no native binary of googlenet could be loaded for')
      expect(output).toContain('npx googlenet build')
      const doctor = command('doctor')
      expect(doctor.code).toBe(1)
      expect(doctor.output).toContain('npx googlenet build')
    })

    // Compiling it whole takes minutes, which the checkout's own build has shown: here as far as the first objects.
    test('compiles, and no compiler outlives an interruption', { timeout: 300_000 }, async () => {
      const child = spawn(process.execPath, [installed('dist/cli/main.js'), 'build'], { cwd: folder.path })
      let told = ''
      const ended = new Promise((resolve) => child.on('close', resolve))
      await new Promise<void>((resolve) => {
        child.on('close', () => resolve())
        child.stderr.on('data', (text) => {
          told += text
          if (/Building CXX object .*native/.test(told)) resolve()
        })
      })
      child.kill('SIGTERM')
      expect(await ended, told).toBe(130)
      expect(commandLines().filter((line) => line.includes(installed()))).toEqual([])
      expect(told).toContain('Building CXX object')
      expect(existsSync(installed('build/Release/googlenet.node'))).toBe(false)
    })
  })
})

describe.skipIf(nativeAbsent)(`googlenet build${nativeSkipReason}`, () => {
  test('ends at once where all is there', async () => {
    const { code, stderr, json } = await googlenet(['build', '--json'])
    expect({ code, stderr, json }).toEqual({
      code: 0,
      stderr: '',
      json: { addon: join(ROOT, 'build/Release/googlenet.node') },
    })
  })

  test('says what it expected', async () => {
    const alone = await googlenet(['build', '--arch', '90'])
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining('--arch 90: expected --cuda') })
    const wrong = await googlenet(['build', '--cuda', '--arch', 'hopper', '--json'])
    const text = 'expected compute capabilities such as 80,90, or all, got hopper'
    expect(wrong).toMatchObject({ code: 1, json: { error: { message: expect.stringContaining(text) } } })
  })
})
