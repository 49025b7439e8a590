/**
 * The cases of the driver: every case of the operations suite, a narrow GoogLeNet forward and backward, ten steps of
 * it, and on demand the same of the whole network; with what the processor computes of them, which is asked here.
 */
import { CLASSIFIERS, googlenet, PROBABILITIES } from '../../lib/model/googlenet.js'
import type { LayerRow } from '../../lib/model/layer.js'
import { cases } from '../ops/cases.js'
import { decidedProblem, type Problem, sinksOf } from '../ops/problem.js'
import { NativeProcess, type NativeRunResult } from '../ops/process.js'
import { rowsOf } from '../reference/network.js'
import { Random } from '../reference/random.js'
import { CaseFile } from './case-file.js'
import { tolerances } from './tolerances.js'

const { operation, network, loss, gradientNorm } = tolerances.f32
/** Direct convolutions: the smallest errors. */
const exact = { exact: true }

function expectRun(file: CaseFile, result: NativeRunResult, training: boolean, tolerance: number): void {
  for (const [name, { data }] of Object.entries(result.outputs)) file.expect('output', name, data, tolerance)
  for (const [name, value] of Object.entries(result.losses))
    file.line('expect', { kind: 'loss', name, ...value, tolerance })
  if (!training) return
  for (const [name, { data }] of Object.entries(result.inputGradients))
    file.expect('inputGradient', name, data, tolerance)
  for (const [name, { data }] of Object.entries(result.parameterGradients))
    file.expect('gradient', name, data, tolerance)
}

/** Inference that keeps only its ends, then training twice: in a plan that reuses memory, and with every blob read. */
async function writeProblem(file: CaseFile, native: NativeProcess, name: string, problem: Problem, tolerance: number) {
  const { rows, parameters, inputs, labels, gradients, inputGradients } = problem
  file.line('case', { name })
  for (const row of rows) file.row(row)
  for (const [key, { shape, data }] of Object.entries(parameters)) file.line('parameter', { name: key, shape }, data)
  for (const [key, { shape, data }] of Object.entries(inputs)) file.line('input', { name: key, shape }, data)
  for (const [key, { shape, data }] of Object.entries(gradients)) file.line('gradient', { name: key, shape }, data)
  if (labels.length > 0) file.line('labels', { name: 'labels', shape: [labels.length] }, labels)

  const ends = (training: boolean) => sinksOf(rows, training).map((row) => row.name)
  const all = rowsOf(rows, true).flatMap((row) => (row.op === 'input' ? [] : [row.name]))
  const given = { rows, parameters, inputs, ...(labels.length > 0 && { labels }), options: exact }
  for (const [training, outputs] of [
    [false, ends(false)],
    [true, ends(true)],
    [true, all],
  ] as const) {
    const backward = training ? { gradients, inputGradients } : {}
    const result = await native.run({ ...given, ...backward, training, outputs })
    file.line('run', { training: Number(training), outputs, ...(training && { inputGradients }) })
    expectRun(file, result, training, tolerance)
  }
  file.line('end')
}

interface Network {
  name: string
  rows: LayerRow[]
  size: number
  classes: number
  batch: number
  rate: number
}

/** Bytes in, dropout at work, both auxiliary heads, momentum, decay and clipping: what a real training step has. */
async function writeNetwork(
  file: CaseFile,
  native: NativeProcess,
  { name, rows, size, classes, batch, rate }: Network,
) {
  const random = new Random(7)
  const input = {
    shape: [batch, size, size, 3],
    data: Uint8Array.from({ length: batch * size * size * 3 }, () => random.integer(256)),
  }
  const labels = Int32Array.from({ length: batch }, () => random.integer(classes))
  const begin = (what: string) => {
    file.line('case', { name: `${name}, ${what}`, seed: 9 })
    for (const row of rows) file.row(row)
    file.line('initialize', { seed: 3 })
    file.line('input', { name: 'data', u8: 1, shape: input.shape }, input.data)
    file.line('labels', { name: 'labels', shape: [batch] }, labels)
  }
  const options = { ...exact, seed: 9 }

  begin('forward and backward')
  for (const training of [false, true]) {
    const outputs = training ? [...CLASSIFIERS] : [PROBABILITIES]
    const request = { rows, inputs: { data: input }, labels, training, outputs }
    const result = await native.run({ ...request, initialize: 3, options })
    file.line('run', { training: Number(training), outputs })
    expectRun(file, { ...result, parameterGradients: {} }, training, network)
    // Nobody has looked whether a ReLU here is close to a tie.
    for (const [key, { data }] of training ? Object.entries(result.parameterGradients) : [])
      file.expect('gradient', key, data, gradientNorm)
  }
  file.line('end')

  begin('ten steps')
  const update = { rate, momentum: 0.9, weightDecay: 2e-4, clip: 10 }
  const { results } = await native.train({ rows, seed: 3, batches: [{ input, labels }], update, steps: 10, options })
  results.forEach((result, step) => {
    const expected = { loss: result.loss, norm: result.gradientNorm, lossTolerance: loss, normTolerance: gradientNorm }
    const { momentum, weightDecay: decay, clip } = update
    file.line('step', { step, training: 1, rate, momentum, decay, clip, ...expected })
  })
  file.line('end')
}

/** @param options.whole the network as it is too: adds a minute here and much more on a simulated device */
export async function writeCases(path: string, options: { whole: boolean; only?: string }): Promise<void> {
  using file = new CaseFile(path)
  await using native = new NativeProcess()
  const small = { width: 0.125, inputSize: 64, classes: 5 }
  const wanted = (name: string) => name.includes(options.only ?? '')
  for (const entry of cases.filter(({ name }) => wanted(name)))
    await writeProblem(file, native, entry.name, decidedProblem(entry).problem, entry.tolerance ?? operation)
  const rows = googlenet({ ...small, dropout: { main: 0, auxiliary: 0 } })
  const narrow = { name: 'narrow GoogLeNet', rows, batch: 2 }
  if (wanted(narrow.name)) {
    await writeProblem(file, native, narrow.name, decidedProblem(narrow, 1.5e-6).problem, network)
    const shape = { size: 64, classes: 5, batch: 4, rate: 0.002 }
    await writeNetwork(file, native, { name: 'narrow GoogLeNet with dropout', rows: googlenet(small), ...shape })
  }
  if (!options.whole) return
  // Slow: at ten times this rate rounding alone moves the loss by 4e-4 within ten steps (seen on the simulated device).
  const shape = { size: 224, classes: 1000, batch: 4, rate: 2e-4 }
  await writeNetwork(file, native, { name: 'GoogLeNet', rows: googlenet(), ...shape })
}
