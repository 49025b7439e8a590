/**
 * The network table as ncnn's .param (text) and .bin (weights) files. ncnn wants an explicit Split layer wherever a
 * blob has several readers. Numbers before '=' are ncnn's parameter ids.
 */
import { writeFileSync } from 'node:fs'
import { withoutTraining } from './onnx.mjs'

const one = (value = 0) => (Array.isArray(value) ? value[0] : value)

/** ncnn type and parameters of a row. */
function describe(row, weights) {
  const count = () => weights.get(`${row.name}.weight`).data.length
  switch (row.op) {
    case 'input':
      return ['Input', `0=${row.width} 1=${row.height} 2=${row.channels}`]
    case 'conv': {
      const geometry = `0=${row.outputs} 1=${one(row.kernel)} 2=1 3=${one(row.stride ?? 1)} 4=${one(row.pad)}`
      return ['Convolution', `${geometry} 5=1 6=${count()} 9=${row.relu ? 1 : 0}`]
    }
    case 'pool': {
      if (row.kind === 'average') return ['Pooling', '0=1 4=1']
      const stride = one(row.stride ?? 1)
      // 5=0 rounds the output size up, 5=1 down.
      return ['Pooling', `0=0 1=${one(row.kernel)} 2=${stride} 3=${one(row.pad)} 5=${stride > 1 ? 0 : 1}`]
    }
    case 'lrn':
      return ['LRN', `0=0 1=${row.size} 2=${row.alpha.toExponential(6)} 3=${row.beta} 4=${row.k ?? 1}`]
    case 'concat':
      return ['Concat', '0=0']
    case 'linear':
      return ['InnerProduct', `0=${row.outputs} 1=1 2=${count()}`]
    case 'softmax':
      return ['Softmax', '0=0']
    default:
      throw new Error(`no ncnn form of '${row.op}'`)
  }
}

export function writeNcnn(paramPath, binPath, rows, weights) {
  const kept = withoutTraining(rows)
  const sources = ({ op, src }) => (op === 'input' ? [] : [src].flat())
  const readers = new Map()
  for (const name of kept.flatMap(sources)) readers.set(name, (readers.get(name) ?? 0) + 1)

  const lines = []
  const binary = []
  let blobs = 0
  const taken = new Map()
  const read = (name) => {
    if (readers.get(name) === 1) return name
    const index = taken.get(name) ?? 0
    taken.set(name, index + 1)
    return `${name}#${index}`
  }
  for (const row of kept) {
    const [type, parameters] = describe(row, weights)
    const inputs = sources(row).map(read)
    lines.push([type, row.name, inputs.length, 1, ...inputs, row.name, parameters].join(' '))
    blobs++
    const count = readers.get(row.name) ?? 0
    if (count > 1) {
      const copies = Array.from({ length: count }, (_, index) => `${row.name}#${index}`)
      lines.push(['Split', `${row.name}#split`, 1, count, row.name, ...copies].join(' '))
      blobs += count
    }
    if (row.op !== 'conv' && row.op !== 'linear') continue
    binary.push(Buffer.alloc(4)) // 0: f32 weights follow
    for (const kind of ['weight', 'bias']) {
      const { data } = weights.get(`${row.name}.${kind}`)
      binary.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    }
  }
  writeFileSync(paramPath, `7767517\n${lines.length} ${blobs}\n${lines.join('\n')}\n`)
  writeFileSync(binPath, Buffer.concat(binary))
}
