/**
 * The few messages of Caffe's caffe.proto that carry weights, as a protobufjs descriptor; unknown fields are
 * skipped. Field numbers: BVLC/caffe src/caffe/proto/caffe.proto (NetParameter, LayerParameter,
 * V1LayerParameter, BlobProto, BlobShape, ConvolutionParameter, InnerProductParameter).
 */
import protobuf from 'protobufjs/light.js'

/** Decoded BlobProto. `data` and `double_data` are raw little-endian chunks, or numbers from `unpackedSchema`. */
export interface Blob {
  shape?: { dim?: number[] }
  num?: number
  channels?: number
  height?: number
  width?: number
  data?: Uint8Array[] | number[]
  double_data?: Uint8Array[] | number[]
}

/** A layer of either generation; `type` is a string in V2 and a LayerType number in V1. */
export interface Layer {
  name?: string
  type?: string | number
  bottom?: string[]
  top?: string[]
  blobs?: Blob[]
  convolution_param?: {
    num_output: number
    bias_term?: boolean
    pad?: number[]
    kernel_size?: number[]
    kernel_h?: number
    kernel_w?: number
    stride?: number[]
    group?: number
  }
  inner_product_param?: { num_output: number; bias_term?: boolean }
  /** V1 only: set in the oldest files, whose layers are wrapped once more (V0LayerParameter). */
  layer?: Uint8Array
}

export interface Net {
  name?: string
  /** Of the input, (N,C,H,W), in either generation. */
  input?: string[]
  input_dim?: number[]
  input_shape?: { dim?: number[] }[]
  /** V2 (field 100). */
  layer?: Layer[]
  /** V1 (field 2). */
  layers?: Layer[]
}

/** V1LayerParameter.LayerType values of the layers that own weights. */
export const V1_TYPES: Readonly<Record<number, string>> = { 4: 'Convolution', 14: 'InnerProduct', 39: 'Deconvolution' }

/**
 * Packed floats are, on the wire, one length-delimited field; declared as bytes they decode to views of the file
 * instead of arrays of doubles. See docs/decisions/0004-protobuf.md.
 */
export const packedSchema: protobuf.Type = netParameter('bytes', 'bytes')

let unpacked: protobuf.Type | undefined

/** For writers that did not pack, which is legal: slower, and twice the memory (an array of doubles per blob). */
export function unpackedSchema(): protobuf.Type {
  unpacked ??= netParameter('float', 'double')
  return unpacked
}

type Fields = Record<string, protobuf.IField>

function netParameter(float: string, double: string): protobuf.Type {
  // int32 stands for Caffe's int64 and uint64: the same bytes for every real size, without a Long class.
  const layer: Fields = {
    bottom: { id: 3, type: 'string', rule: 'repeated' },
    top: { id: 4, type: 'string', rule: 'repeated' },
    blobs: { id: 7, type: 'BlobProto', rule: 'repeated' },
    convolution_param: { id: 106, type: 'ConvolutionParameter' },
    inner_product_param: { id: 117, type: 'InnerProductParameter' },
  }
  const types: Record<string, Fields> = {
    NetParameter: {
      name: { id: 1, type: 'string' },
      layers: { id: 2, type: 'V1LayerParameter', rule: 'repeated' },
      input: { id: 3, type: 'string', rule: 'repeated' },
      input_dim: { id: 4, type: 'int32', rule: 'repeated' },
      input_shape: { id: 8, type: 'BlobShape', rule: 'repeated' },
      layer: { id: 100, type: 'LayerParameter', rule: 'repeated' },
    },
    LayerParameter: { name: { id: 1, type: 'string' }, type: { id: 2, type: 'string' }, ...layer },
    V1LayerParameter: {
      layer: { id: 1, type: 'bytes' },
      name: { id: 4, type: 'string' },
      type: { id: 5, type: 'int32' },
      blobs: { id: 6, type: 'BlobProto', rule: 'repeated' },
    },
    BlobShape: { dim: { id: 1, type: 'int32', rule: 'repeated', options: { packed: true } } },
    BlobProto: {
      num: { id: 1, type: 'int32' },
      channels: { id: 2, type: 'int32' },
      height: { id: 3, type: 'int32' },
      width: { id: 4, type: 'int32' },
      data: { id: 5, type: float, rule: 'repeated' },
      shape: { id: 7, type: 'BlobShape' },
      double_data: { id: 8, type: double, rule: 'repeated' },
    },
    ConvolutionParameter: {
      num_output: { id: 1, type: 'int32' },
      bias_term: { id: 2, type: 'bool' },
      pad: { id: 3, type: 'int32', rule: 'repeated' },
      kernel_size: { id: 4, type: 'int32', rule: 'repeated' },
      group: { id: 5, type: 'int32' },
      stride: { id: 6, type: 'int32', rule: 'repeated' },
      kernel_h: { id: 11, type: 'int32' },
      kernel_w: { id: 12, type: 'int32' },
    },
    InnerProductParameter: { num_output: { id: 1, type: 'int32' }, bias_term: { id: 2, type: 'bool' } },
  }
  const nested = Object.entries(types).map(([name, fields]) => [name, { edition: 'proto2', fields }])
  return protobuf.Root.fromJSON({ nested: Object.fromEntries(nested) }).lookupType('NetParameter')
}
