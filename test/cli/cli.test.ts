/** The command line: JSON keys that scripts rely on, exit codes, messages, interruption. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { drawPictures, temporaryFolder } from '../train/pictures.js'
import { googlenet, MAIN } from './command.js'

const SMALL = ['--input-size', '48', '--width', '0.125', '--threads', '2', '--batch', '8', '--augment', 'none']

let folder: Awaited<ReturnType<typeof temporaryFolder>>
const at = (...names: string[]) => join(folder.path, ...names)
beforeAll(async () => {
  folder = await temporaryFolder()
  await drawPictures(at('train'), 3, 16)
  await drawPictures(at('val'), 3, 4, 2)
})
afterAll(() => folder.remove())

describe('train, then what its model is good for', () => {
  it('train writes the run and gives the promised keys', async () => {
    const { code, json, stdout, stderr } = await googlenet([
      ...['train', '--data', at('train'), '--val', at('val'), '--out', at('run'), '--epochs', '2', '--json'],
      ...[...SMALL, '--lr', '0.002', '--schedule', 'constant', '--seed', '3'],
    ])
    expect({ code, stderr, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, stderr: '', lines: 1 })
    expect(json).toMatchObject({ epochs: 2, steps: 12, out: at('run') })
    for (const key of ['loss', 'top1', 'top5', 'trainImagesPerSecond']) expect(json[key]).toEqual(expect.any(Number))
    expect(json.top5).toBe(1)
    expect(readdirSync(at('run')).sort()).toEqual(['best', 'config.json', 'last', 'metrics.jsonl'])
    const config = JSON.parse(await readFile(at('run', 'config.json'), 'utf8'))
    expect(config).toMatchObject({ data: at('train'), epochs: 2, batch: 8, lr: 0.002, augment: 'none', seed: 3 })
  })

  it('train with workers and an average reports staleness and both figures', async () => {
    const run = ['train', '--data', at('train'), '--val', at('val'), '--epochs', '2', '--json', ...SMALL]
    const log = at('pushes.jsonl')
    const workers = ['--workers', '2', '--average', 'ema', '--average-decay', '0.9', '--optimizer', 'nesterov']
    const first = await googlenet([...run, ...workers, '--out', at('workers'), '--record', log, '--warmup', '8'])
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' })
    expect(first.json).toMatchObject({ steps: 12, averaged: { top5: 1 }, staleness: { pushes: 6 } })
    for (const key of ['mean', 'p50', 'p95', 'max']) expect(first.json.staleness[key]).toEqual(expect.any(Number))
    const again = await googlenet([...run, ...workers, '--out', at('replayed'), '--replay', log, '--warmup', '8'])
    expect(again.json.loss).toBeCloseTo(first.json.loss, 10)
    const resumed = await googlenet(['train', '--resume', at('workers'), '--epochs', '3', '--json'])
    expect(resumed.json).toMatchObject({ epochs: 3, steps: 18, averaged: { top5: 1 } })
  })

  it.each([
    [['--sync'], "which 'sync' is about"],
    [['--average-decay', '0.9'], "--average-decay: expected '--average ema'"],
    [['--workers', '2', '--softsync', '3'], 'softsync: expected an integer from 1 to 2'],
  ])('%j is wrong usage', async (flags, message) => {
    const { code, stderr } = await googlenet(['train', '--data', at('train'), '--out', at('wrong'), ...SMALL, ...flags])
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  it('refuses to write a new run over an old one', async () => {
    const { code, stderr } = await googlenet(['train', '--data', at('train'), '--out', at('run'), ...SMALL])
    expect(code).toBe(2)
    expect(stderr).toContain('already holds a run')
  })

  it('--resume needs nothing but the folder and the new total', async () => {
    const { code, json } = await googlenet(['train', '--resume', at('run'), '--epochs', '3', '--json'])
    expect(code).toBe(0)
    expect(json).toMatchObject({ epochs: 3, steps: 18 })
    const lines = (await readFile(at('run', 'metrics.jsonl'), 'utf8')).trim().split('\n')
    const epochs = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'epoch')
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3])
  })

  it('--config gives options, flags win', async () => {
    const config = JSON.parse(await readFile(at('run', 'config.json'), 'utf8'))
    await writeFile(at('config.json'), JSON.stringify({ ...config, out: at('configured'), epochs: 5 }))
    const { code, json } = await googlenet(['train', '--config', at('config.json'), '--epochs', '1', '--json'])
    expect({ code, epochs: json.epochs, steps: json.steps }).toEqual({ code: 0, epochs: 1, steps: 6 })
  })

  it('eval, also of an ensemble and with 10 crops', async () => {
    const model = at('run', 'best', 'model.safetensors')
    for (const extra of [[], ['--weights', at('run', 'last', 'checkpoint.safetensors')], ['--crops', '10']]) {
      const { code, json } = await googlenet(['eval', '--weights', model, '--data', at('val'), '--json', ...extra])
      expect(code).toBe(0)
      expect(json).toMatchObject({ images: 12, top5: 1, skipped: 0 })
      expect(json.top1).toBeGreaterThanOrEqual(0)
      expect(json.imagesPerSecond).toBeGreaterThan(0)
    }
  })

  it('eval --per-class tells every class', async () => {
    const evaluation = ['eval', '--weights', at('run', 'best', 'model.safetensors'), '--data', at('val'), '--per-class']
    const { json } = await googlenet([...evaluation, '--json'])
    expect(json.perClass.map(({ label, images }: { label: string; images: number }) => [label, images])).toEqual([
      ['a', 4],
      ['b', 4],
      ['c', 4],
    ])
    for (const { label, images, top1, takenFor } of json.perClass) {
      const wrong = takenFor.reduce((sum: number, other: { images: number }) => sum + other.images, 0)
      expect(wrong / images, label).toBeCloseTo(1 - top1, 12)
      expect(takenFor.some((other: { label: string }) => other.label === label)).toBe(false)
    }
    const { stdout } = await googlenet(evaluation)
    expect(stdout.split('\n')[0]).toMatch(/^class +images +top-1 +taken for$/)
    expect(stdout.split('\n').slice(1, 4).join('\n')).toMatch(/^a +4 .* %.*\nb +4 .* %.*\nc +4 .* %/)
  })

  it('predict', async () => {
    const [first, second] = [at('val', 'a', '0.jpg'), at('val', 'b', '0.jpg')]
    const model = at('run', 'best', 'model.safetensors')
    const { code, json } = await googlenet(['predict', '--weights', model, '--top', '2', '--json', first, second])
    expect(code).toBe(0)
    expect(json.predictions.map(({ image }: { image: string }) => image)).toEqual([first, second])
    expect(json.predictions[0].top).toHaveLength(2)
    expect(json.predictions[0].top[0]).toEqual({
      label: expect.stringMatching(/^[abc]$/),
      index: expect.any(Number),
      probability: expect.any(Number),
    })
  })

  it('convert there and back gives the same file', async () => {
    const [start, caffe, back] = [at('run', 'best', 'model.safetensors'), at('m.caffemodel'), at('back.safetensors')]
    const first = await googlenet(['convert', start, caffe, '--json'])
    expect(first.json).toEqual({ tensors: 128, parameters: expect.any(Number) })
    expect((await googlenet(['convert', caffe, back, '--json'])).json).toEqual(first.json)
    const twice = at('twice.caffemodel')
    await googlenet(['convert', back, twice])
    expect(await readFile(twice)).toEqual(await readFile(caffe))
  })

  it('a .caffemodel keeps the size of the input, and says what it leaves out', async () => {
    const [start, caffe] = [at('run', 'best', 'model.safetensors'), at('sized.caffemodel')]
    expect((await googlenet(['convert', start, caffe])).stderr).toContain('no place for labels')
    const evaluate = async (weights: string) =>
      (await googlenet(['eval', '--weights', weights, '--data', at('val'), '--json'])).json
    const { imagesPerSecond: _, ...expected } = await evaluate(start)
    expect(await evaluate(caffe)).toMatchObject(expected)
  })

  it.each([
    [['--width', '0.25'], '--width: expected nothing with --resume'],
    [['--input-size', '64'], '--input-size: expected nothing'],
    [['--weights', 'no.caffemodel'], '--weights: expected nothing'],
    [['--out', '@val-run'], 'already holds a run'],
  ])('train --resume with %j is wrong usage', async (flags, message) => {
    await cp(at('run'), at('val-run'), { recursive: true })
    const before = await readFile(at('run', 'config.json'), 'utf8')
    const args = flags.map((flag) => (flag.startsWith('@') ? at(flag.slice(1)) : flag))
    const { code, stderr } = await googlenet(['train', '--resume', at('run'), '--epochs', '3', ...args])
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) })
    expect(await readFile(at('run', 'config.json'), 'utf8')).toBe(before)
  })

  it('train --resume of a run that is done says so', async () => {
    const { code, stdout } = await googlenet(['train', '--resume', at('run')])
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^nothing to do: \d epochs, \d+ steps; /),
    })
  })

  it('train goes on when nobody reads its progress', async () => {
    const args = ['train', '--data', at('train'), '--out', at('unread'), '--epochs', '3', ...SMALL]
    const { code } = await googlenet(args, (child) => child.stderr!.destroy())
    expect(code).toBe(0)
    expect(readdirSync(at('unread')).sort()).toEqual(['best', 'config.json', 'last', 'metrics.jsonl'])
  })

  it('a config file that holds no object', async () => {
    await writeFile(at('null.json'), 'null')
    const { code, stderr } = await googlenet(['train', '--config', at('null.json'), '--data', at('train')])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('expected an object, got null') })
  })

  it('a result that cannot be written is told without a stack', async () => {
    const full = spawnSync('sh', ['-c', `"${process.execPath}" "${MAIN}" summary > /dev/full`], { encoding: 'utf8' })
    expect(full.status).toBe(1)
    expect(full.stderr).toMatch(/^error: standard output could not be written: .*ENOSPC.*\n$/)
  })

  it('quantize measures ranges and changes nothing else', async () => {
    const model = at('run', 'best', 'model.safetensors')
    const args = ['quantize', '--weights', model, '--data', at('val'), '--threads', '2']
    const { code, json, stdout, stderr } = await googlenet([...args, '--output', at('q.safetensors'), '--json'])
    expect({ code, stderr, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, stderr: '', lines: 1 })
    expect(json).toEqual({ output: at('q.safetensors'), method: expect.any(String), images: 12, blobs: 57 })
    const few = ['--method', 'percentile', '--percentile', '99', '--images', '5', '--output', at('few.safetensors')]
    expect((await googlenet([...args, ...few, '--json'])).json).toMatchObject({ percentile: 99, images: 5 })
    const told = (await googlenet([...args, ...few])).stdout
    expect(told).toBe(`${at('few.safetensors')}: ranges of 57 blobs, by percentile 99 of 5 images\n`)
    const accuracy = async (weights: string) => {
      const { json } = await googlenet(['eval', '--weights', weights, '--data', at('val'), '--json'])
      return [json.top1, json.loss]
    }
    expect(await accuracy(at('q.safetensors'))).toEqual(await accuracy(model))
  })

  it('int8 of a file without ranges names the command that makes them', async () => {
    const model = at('run', 'best', 'model.safetensors')
    const { code, stderr } = await googlenet(['predict', '--weights', model, '--precision', 'int8', 'x.jpg'])
    expect(code).toBe(1)
    expect(stderr).toContain("holds none. Make a file that has them: 'googlenet quantize")
  })

  it('fine-tuning starts with a new classifier for other classes', async () => {
    await drawPictures(at('two'), 2, 8)
    const model = at('run', 'best', 'model.safetensors')
    const { code, json } = await googlenet([
      ...['train', '--data', at('two'), '--weights', model, '--out', at('tuned'), '--epochs', '1', '--json'],
      ...['--batch', '8', '--freeze', 'conv*', '--freeze', 'inception_3?/*', '--augment', 'none'],
    ])
    expect({ code, steps: json.steps }).toEqual({ code: 0, steps: 2 })
  })
})

describe('what needs no data', () => {
  it('summary', async () => {
    const { code, json } = await googlenet(['summary', '--json'])
    expect({ code, parameters: json.parameters, macs: json.macs }).toEqual({
      ...{ code: 0, parameters: 6_998_552, macs: 1_582_671_872 },
    })
    expect(json.layers).toContainEqual(expect.objectContaining({ name: 'inception_5b/output', shape: [1024, 7, 7] }))
    const naive = await googlenet(['summary', '--block', 'naive', '--json'])
    expect(naive.json.macs).toBeGreaterThan(json.macs)
  })

  it('doctor', async () => {
    const { code, json } = await googlenet(['doctor', '--json'])
    expect(code).toBe(0)
    expect(json.devices).toContainEqual(expect.objectContaining({ device: 'cpu', available: true }))
    expect(json.libraries).toContainEqual(expect.objectContaining({ name: 'oneDNN' }))
    expect(json.problems).toEqual([])
  })

  it.each(['train', 'predict'])('bench %s', async (what) => {
    const size = ['--input-size', '48', '--width', '0.125', '--batch', '4', '--steps', '3']
    const { code, json } = await googlenet(['bench', what, ...size, '--json'])
    expect(code).toBe(0)
    expect(json).toMatchObject({
      imagesPerSecond: expect.any(Number),
      stepMs: { p50: expect.any(Number), p95: expect.any(Number) },
      peakRssMb: expect.any(Number),
      device: 'cpu',
    })
  })

  it('bench layers', async () => {
    const { json } = await googlenet([
      'bench',
      'layers',
      '--input-size',
      '48',
      '--width',
      '0.125',
      '--batch',
      '2',
      '--json',
    ])
    expect(json.kernels.length).toBeGreaterThan(100)
  })
})

describe('failures', () => {
  it.each<[string, string[], number, string]>([
    ['a misspelt command', ['trian'], 2, 'Did you mean train?'],
    ['a misspelt flag', ['eval', '--wieghts', 'x'], 2, 'Did you mean --weights?'],
    ['a flag that is missing', ['eval', '--data', 'x'], 2, "required option '--weights <file>'"],
    ['a value of the wrong kind', ['summary', '--classes', 'many'], 2, 'expected an integer of at least 2'],
    ['an unknown choice', ['summary', '--block', 'dense'], 2, 'Allowed choices are reduced, naive'],
    ['train without data', ['train'], 2, '--data DIR'],
    ['a missing file', ['eval', '--weights', 'no.safetensors', '--data', 'x'], 1, 'no.safetensors'],
    ['a missing folder', ['train', '--data', 'no/such/folder'], 1, 'no/such/folder'],
    ['no CUDA', ['summary', '--device', 'cuda'], 1, "hint: 'googlenet doctor'"],
    ['tf32 on the processor', ['bench', 'train', '--precision', 'tf32'], 1, 'tensor cores of GPUs'],
    ['an unknown precision', ['bench', 'train', '--precision', 'f16'], 2, 'auto, f32, tf32, bf16, int8'],
    ['int8 training', ['bench', 'train', '--precision', 'int8'], 1, 'which is for inference'],
    [
      'quantize without a target',
      ['quantize', '--weights', 'x', '--data', 'y'],
      2,
      "required option '--output <file>'",
    ],
    [
      'quantize into a format without ranges',
      ['quantize', '--weights', 'x', '--data', 'y', '--output', 'z.caffemodel'],
      2,
      'ends in .safetensors',
    ],
    [
      'a percentile of another method',
      ['quantize', '--weights', 'x', '--data', 'y', '--output', 'z', '--method', 'minmax', '--percentile', '99'],
      2,
      "expected method: 'percentile'",
    ],
    ['an unknown method', ['quantize', '--method', 'mean'], 2, 'Allowed choices are minmax, percentile, entropy'],
    ['a format it cannot write', ['convert', 'a.safetensors', 'b.pth'], 1, 'a.safetensors'],
  ])('%s', async (_, args, expected, message) => {
    const { code, stdout, stderr } = await googlenet(args)
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  it('with --json they are an object on stdout and stderr is silent', async () => {
    const failed = await googlenet(['train', '--data', 'no/such/folder', '--json'])
    expect(failed).toMatchObject({ code: 1, stderr: '', json: { error: { code: 'GOOGLENET_ERR_FILE_NOT_FOUND' } } })
    const usage = await googlenet(['eval', '--wieghts', 'x', '--json'])
    expect(usage).toMatchObject({ code: 2, stderr: '', json: { error: { code: 'GOOGLENET_ERR_UNKNOWN_OPTION' } } })
  })

  it('a misspelt key of --config', async () => {
    await writeFile(at('bad.json'), JSON.stringify({ data: at('train'), epoch: 3 }))
    const { code, stderr } = await googlenet(['train', '--config', at('bad.json')])
    expect(code).toBe(2)
    expect(stderr).toContain("unknown option 'epoch'; did you mean 'epochs'?")
  })
})

describe('interruption', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s saves, exits with 130, and the run can be resumed', async (signal) => {
    const out = at(signal)
    const args = ['train', '--data', at('train'), '--out', out, '--epochs', '500', ...SMALL, '--lr', '0.0001']
    const { code, stderr } = await googlenet(args, (child) => {
      const timer = setInterval(() => {
        if (!readdirSync(folder.path).includes(signal) || !readdirSync(out).includes('last')) return
        clearInterval(timer)
        child.kill(signal)
      }, 20)
      child.on('exit', () => clearInterval(timer))
    })
    expect({ code, told: /stopped after step \d+; go on with --resume/.test(stderr) }).toEqual({
      code: 130,
      told: true,
    })
    const steps = Number(/stopped after step (\d+)/.exec(stderr)?.[1])
    const epochs = Math.floor(steps / 6) + 1
    const { json } = await googlenet(['train', '--resume', out, '--epochs', String(epochs), '--json'])
    expect(json).toMatchObject({ epochs, steps: epochs * 6 })
  })
})
