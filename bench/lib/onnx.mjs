/**
 * The network table as an ONNX file for the peers that read one (opset 13), from the same rows that our engine
 * gets. Input 'data' (N,3,H,W), output 'prob' (N,classes). Only what inference needs.
 */
import { writeFileSync } from 'node:fs'
import protobuf from 'protobufjs'

/** The part of ONNX's schema that is written here; the numbers are ONNX's. */
const schema = `
syntax = "proto3";
message Model { int64 ir_version = 1; string producer_name = 2; Graph graph = 7; repeated Opset opset_import = 8; }
message Opset { string domain = 1; int64 version = 2; }
message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated Value input = 11;
  repeated Value output = 12; }
message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated Attribute attribute = 5; }
message Attribute { string name = 1; float f = 2; int64 i = 3; repeated int64 ints = 8; int32 type = 20; }
message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
message Value { string name = 1; Type type = 2; }
message Type { TensorType tensor_type = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Shape { repeated Dim dim = 1; }
message Dim { oneof value { int64 dim_value = 1; string dim_param = 2; } }`

const FLOAT = 1

function attribute(name, value) {
  if (Array.isArray(value)) return { name, ints: value, type: 7 }
  return Number.isInteger(value) ? { name, i: value, type: 2 } : { name, f: value, type: 1 }
}

/** LRN's alpha and bias are floats even when they are whole. */
function float(name, value) {
  return { name, f: value, type: 1 }
}

const pair = (value = 0) => (Array.isArray(value) ? value : [value, value])

function value(name, dims) {
  const dim = dims.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }))
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } }
}

export function writeOnnx(path, rows, weights) {
  const node = []
  const initializer = []
  const emit = (opType, input, output, attributes = []) => {
    node.push({ opType, name: output, input, output: [output], attribute: attributes })
  }
  const weighted = (row) =>
    ['weight', 'bias'].map((kind) => {
      const name = `${row.name}.${kind}`
      const { shape, data } = weights.get(name)
      const rawData = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      initializer.push({ name, dims: shape, dataType: FLOAT, rawData })
      return name
    })
  const writers = {
    conv(row) {
      const { name, kernel, stride = 1, pad } = row
      const raw = row.relu ? `${name}#conv` : name
      const [h, w] = pair(pad)
      emit('Conv', [row.src, ...weighted(row)], raw, [
        attribute('kernel_shape', pair(kernel)),
        attribute('strides', pair(stride)),
        attribute('pads', [h, w, h, w]),
      ])
      if (row.relu) emit('Relu', [raw], name)
    },
    pool({ name, src, kind, kernel, stride = 1, pad }, last) {
      // The last pooling covers its whole source; every runtime has a fast path for the global form.
      if (kernel === 'global' || last) return emit('GlobalAveragePool', [src], name)
      const [h, w] = pair(pad)
      emit(kind === 'max' ? 'MaxPool' : 'AveragePool', [src], name, [
        attribute('kernel_shape', pair(kernel)),
        attribute('strides', pair(stride)),
        attribute('pads', [h, w, h, w]),
        // Rounding up changes nothing at stride 1.
        attribute('ceil_mode', pair(stride)[0] > 1 ? 1 : 0),
      ])
    },
    lrn({ name, src, size, alpha, beta, k = 1 }) {
      emit('LRN', [src], name, [attribute('size', size), float('alpha', alpha), float('beta', beta), float('bias', k)])
    },
    concat({ name, src }) {
      emit('Concat', src, name, [attribute('axis', 1)])
    },
    linear(row) {
      emit('Flatten', [row.src], `${row.name}#flat`, [attribute('axis', 1)])
      emit('Gemm', [`${row.name}#flat`, ...weighted(row)], row.name, [attribute('transB', 1)])
    },
    softmax({ name, src }) {
      emit('Softmax', [src], name, [attribute('axis', 1)])
    },
  }
  const input = rows.find(({ op }) => op === 'input')
  for (const row of withoutTraining(rows)) if (row.op !== 'input') writers[row.op](row, row.kind === 'average')

  const classes = rows.find(({ name }) => name === 'loss3/classifier').outputs
  const graph = { name: 'googlenet', node, initializer }
  graph.input = [value('data', ['N', input.channels, input.height, input.width])]
  graph.output = [value('prob', ['N', classes])]
  const Model = protobuf.parse(schema).root.lookupType('Model')
  const model = { irVersion: 8, producerName: 'googlenet-bench', graph, opsetImport: [{ domain: '', version: 13 }] }
  writeFileSync(path, Model.encode(Model.fromObject(model)).finish())
}

/** The rows of inference, with dropout (identity there) taken out. */
export function withoutTraining(rows) {
  const alias = new Map()
  const real = (name) => alias.get(name) ?? name
  const kept = []
  for (const row of rows.filter(({ phase }) => phase !== 'train')) {
    const src = Array.isArray(row.src) ? row.src.map(real) : real(row.src)
    if (row.op === 'dropout') alias.set(row.name, src)
    else kept.push({ ...row, src })
  }
  return kept
}
