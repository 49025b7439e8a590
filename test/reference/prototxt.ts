/** Reads Caffe's text format and turns layers of the kinds we have into rows of a table. Test use only. */
import type { LayerRow, Pair } from '../../lib/model/layer.js'

export type Message = { [field: string]: (string | number | boolean | Message)[] }

export function parsePrototxt(text: string): Message {
  const tokens = text.replace(/#.*$/gm, '').match(/"[^"]*"|'[^']*'|[{}:;]|[^\s{}:;]+/g) ?? []
  let next = 0
  const message = (): Message => {
    const fields: Message = {}
    while (next < tokens.length && tokens[next] !== '}') {
      const name = tokens[next++]!
      if (name === ';') continue
      if (tokens[next] === ':') next++
      fields[name] ??= []
      if (tokens[next] === '{') {
        next++
        fields[name].push(message())
        next++
      } else {
        fields[name].push(scalar(tokens[next++]!))
      }
    }
    return fields
  }
  return message()
}

function scalar(token: string): string | number | boolean {
  if (/^["']/.test(token)) return token.slice(1, -1)
  if (token === 'true' || token === 'false') return token === 'true'
  return Number.isNaN(Number(token)) ? token : Number(token)
}

const one = (message: Message, field: string): Message => (message[field]?.[0] ?? {}) as Message

/** `kernel_size: 3` or `kernel_h: 3 kernel_w: 5`, absent: `otherwise`. */
function pairOf(message: Message, square: string, stem: string, otherwise: number): Pair {
  const both = message[square]?.[0] as number | undefined
  const h = message[`${stem}_h`]?.[0] as number | undefined
  const w = message[`${stem}_w`]?.[0] as number | undefined
  return [h ?? both ?? otherwise, w ?? both ?? otherwise]
}

/** A row for one layer message; undefined for kinds that a table does not have (ReLU is an attribute there). */
export function rowOf(layer: Message): LayerRow | undefined {
  const name = layer.name![0] as string
  const src = layer.bottom?.[0] as string
  switch (layer.type![0]) {
    case 'Convolution': {
      const p = one(layer, 'convolution_param')
      return {
        op: 'conv',
        name,
        src,
        outputs: p.num_output![0] as number,
        kernel: pairOf(p, 'kernel_size', 'kernel', 1),
        stride: pairOf(p, 'stride', 'stride', 1),
        pad: pairOf(p, 'pad', 'pad', 0),
        groups: (p.group?.[0] as number | undefined) ?? 1,
      }
    }
    case 'Pooling': {
      const p = one(layer, 'pooling_param')
      return {
        op: 'pool',
        name,
        src,
        kind: p.pool![0] === 'AVE' ? 'average' : 'max',
        kernel: pairOf(p, 'kernel_size', 'kernel', 1),
        stride: pairOf(p, 'stride', 'stride', 1),
        pad: pairOf(p, 'pad', 'pad', 0),
      }
    }
    case 'LRN': {
      const p = one(layer, 'lrn_param')
      return {
        op: 'lrn',
        name,
        src,
        size: p.local_size![0] as number,
        alpha: p.alpha![0] as number,
        beta: p.beta![0] as number,
        region: p.norm_region?.[0] === 'WITHIN_CHANNEL' ? 'within' : 'across',
      }
    }
    case 'InnerProduct':
      return { op: 'linear', name, src, outputs: one(layer, 'inner_product_param').num_output![0] as number }
    case 'Softmax':
      return { op: 'softmax', name, src }
    case 'Dropout':
      return { op: 'dropout', name, src, ratio: one(layer, 'dropout_param').dropout_ratio![0] as number }
    case 'SoftmaxWithLoss':
      // The one kind whose blob (loss1/loss1) the table names differently from Caffe's layer (loss1/loss).
      return {
        op: 'loss',
        name: layer.top![0] as string,
        src,
        weight: (layer.loss_weight?.[0] as number | undefined) ?? 1,
      }
    case 'Concat':
      return { op: 'concat', name, src: layer.bottom as string[] }
    default:
      return undefined
  }
}

/**
 * The rows of a whole net. Caffe's layers may write blobs in place or under names other than their own; rows read
 * the layer that wrote last. A ReLU in place becomes an attribute of the layer before it.
 */
export function rowsOfNet(net: Message): LayerRow[] {
  const rows: LayerRow[] = []
  const writer = new Map<string, string>()
  const lastWriter = (blob: string) => writer.get(blob) ?? blob
  for (const layer of net.layer as Message[]) {
    const row = rowOf(layer)
    if (layer.type![0] === 'ReLU') {
      const before = rows.find(({ name }) => name === lastWriter(layer.bottom![0] as string))
      if (before?.op === 'conv' || before?.op === 'linear') before.relu = true
    }
    if (!row) continue
    if (row.op === 'concat') row.src = row.src.map(lastWriter)
    else if (row.op !== 'input') row.src = lastWriter(row.src)
    rows.push(row)
    writer.set(layer.top![0] as string, row.name)
  }
  return rows
}
