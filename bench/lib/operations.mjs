/** The time of every operation on a GPU beside the limits of roofline.mjs. */
import { googlenet } from '../../dist/model/googlenet.js'
import { native } from '../../dist/native.js'
import { cost, limit } from './roofline.mjs'
import { median } from './statistics.mjs'

/**
 * Kernels of a plan in order. Times are a host's, around each kernel alone, so that those of a few microseconds are
 * mostly launches. `limitMs` and `share` (of the limit reached) are null where roofline.mjs has no cost or no card.
 */
export async function operations({ device, network, card, precision, tune, batch, training, repeats }) {
  const layers = googlenet({ ...network, auxiliary: training })
  const session = new (native().Session)({ layers, device, precision, tune })
  try {
    await session.initialize(1)
    const described = new Map(session.describe().layers.map((layer) => [layer.name, layer]))
    const runs = []
    for (let run = 0; run < repeats; run++) runs.push(await session.profile(batch, training))
    return runs[0].map(({ name, direction, op, implementation }, i) => {
      const milliseconds = median(runs.map((kernels) => kernels[i].milliseconds))
      const least = card && cost(described, name, direction, op, training)
      const limitMs = least ? 1e3 * batch * limit(card, precision, least) : null
      return { name, direction, op, implementation, milliseconds, limitMs, share: limitMs && limitMs / milliseconds }
    })
  } finally {
    await session.dispose()
  }
}

export function printOperations({ batch, training, precision, card, kernels }, print) {
  const work = `${training ? 'training' : 'inference'}, batch ${batch}, ${precision}`
  print(`\nper operation, ${work}; limit: ${card ? `${card}, on paper` : 'none known for this card'}`)
  const line = (name, direction, ms, least, share, implementation) =>
    print(
      `  ${name.slice(0, 46).padEnd(46)} ${direction.padEnd(16)} ${ms.padStart(9)} ${least.padStart(9)} ` +
        `${share.padStart(8)}  ${implementation}`,
    )
  line('operation', 'direction', 'ms', 'limit ms', 'share', 'implementation')
  const text = (value, digits) => (value === null ? '' : value.toFixed(digits))
  const percent = (share) => (share === null ? '' : `${(100 * share).toFixed(1)} %`)
  for (const { name, direction, milliseconds, limitMs, share, implementation } of kernels)
    line(name, direction, text(milliseconds, 4), text(limitMs, 4), percent(share), implementation)
  const sum = (values) => values.reduce((total, value) => total + value, 0)
  const total = sum(kernels.map(({ milliseconds }) => milliseconds))
  const least = sum(kernels.map(({ limitMs }) => limitMs ?? 0))
  line('all', '', text(total, 4), text(card ? least : null, 4), percent(card ? least / total : null), '')
}
