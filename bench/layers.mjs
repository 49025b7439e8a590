/**
 * Where the time goes in our engine: the kernels of the plan for one batch size, with the implementation each got,
 * its speed, and its share of the speed that the largest plain matrix product reaches here in the same run.
 *   node bench/layers.mjs [--batch 8] [--training] [--threads 2] [--sort] [--json]
 */
import { parseArgs } from 'node:util'
import { googlenet } from '../dist/model/googlenet.js'
import { native } from '../dist/native.js'
import { median } from './lib/statistics.mjs'

const text = (value) => ({ type: 'string', default: value })
const flag = { type: 'boolean', default: false }
const { values: options } = parseArgs({
  options: { batch: text('8'), threads: text('2'), repeats: text('5'), training: flag, sort: flag, json: flag },
})
const [batch, threads, repeats] = [options.batch, options.threads, options.repeats].map(Number)
const { Session } = native()

/** Kernels with the median time of several profiles. */
async function profile(layers, count, training) {
  const session = new Session({ layers, threads })
  try {
    await session.initialize(1)
    const runs = []
    for (let run = 0; run < repeats; run++) runs.push(await session.profile(count, training))
    return runs[0].map((kernel, i) => ({
      ...kernel,
      milliseconds: median(runs.map((kernels) => kernels[i].milliseconds)),
    }))
  } finally {
    await session.dispose()
  }
}

const gflops = ({ macs, milliseconds }) => (2 * macs) / milliseconds / 1e6

/** 1x1 convolutions are matrix products: the fastest of some large ones stands for the peak. */
async function peak() {
  const speeds = []
  for (const [channels, size] of [
    [512, 28],
    [1024, 14],
    [1024, 28],
  ]) {
    const layers = [
      { op: 'input', name: 'data', channels, height: size, width: size },
      { op: 'conv', name: 'product', src: 'data', outputs: channels, kernel: 1, weightFiller: { type: 'xavier' } },
    ]
    const kernels = await profile(layers, 8, false)
    speeds.push(...kernels.filter(({ op }) => op === 'conv').map(gflops))
  }
  return Math.max(...speeds)
}

const ceiling = await peak()
const kernels = (await profile(googlenet(), batch, options.training)).map((kernel) => ({
  ...kernel,
  gflops: kernel.macs > 0 ? gflops(kernel) : null,
  share: kernel.macs > 0 ? gflops(kernel) / ceiling : null,
}))
if (options.sort) kernels.sort((a, b) => b.milliseconds - a.milliseconds)
const total = kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0)

if (options.json) {
  console.log(
    JSON.stringify({ batch, threads, training: options.training, peakGflops: ceiling, milliseconds: total, kernels }),
  )
} else {
  const line = (name, direction, ms, speed, share, implementation = '') => {
    const numbers = [ms.padStart(9), speed.padStart(8), share.padStart(7)].join(' ')
    console.log(`${name.slice(0, 46).padEnd(46)} ${direction.padEnd(16)} ${numbers}  ${implementation}`)
  }
  const show = ({ name, direction = '', milliseconds, macs, implementation }) => {
    const speed = macs > 0 ? gflops({ macs, milliseconds }) : undefined
    const percent = speed ? `${((100 * speed) / ceiling).toFixed(0)} %` : ''
    line(name, direction, milliseconds.toFixed(2), speed?.toFixed(0) ?? '', percent, implementation)
  }
  line('kernel', 'direction', 'ms', 'GFLOP/s', 'of peak', 'implementation')
  for (const kernel of kernels) show(kernel)
  console.log()
  const groups = groupBy(kernels, ({ op, direction }) => `${op}#${direction}`)
  for (const [key, members] of [...groups].sort((a, b) => sum(b[1]) - sum(a[1]))) {
    const [name, direction] = key.split('#')
    const macs = members.reduce((count, kernel) => count + kernel.macs, 0)
    const milliseconds = sum(members)
    show({
      name: `all ${name}`,
      direction,
      milliseconds,
      macs,
      implementation: `${((100 * milliseconds) / total).toFixed(1)} %`,
    })
  }
  const rate = ((batch / total) * 1000).toFixed(1)
  console.log(
    `\nbatch ${batch}: ${total.toFixed(1)} ms of kernels, ${rate} images/s; peak ${ceiling.toFixed(0)} GFLOP/s`,
  )
}

function sum(members) {
  return members.reduce((time, { milliseconds }) => time + milliseconds, 0)
}

/** Map.groupBy is not in Node 20. */
function groupBy(members, keyOf) {
  const groups = new Map()
  for (const member of members) groups.set(keyOf(member), [...(groups.get(keyOf(member)) ?? []), member])
  return groups
}
