/**
 * A protobuf encoder of a few lines, so that the .caffemodel tests build their files by hand, independently of the
 * library that reads them. https://protobuf.dev/programming-guides/encoding/
 */
export function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 128)
  }
}

export function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)])
}

export function bytes(field: number, ...parts: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}

export function packedFloats(field: number, values: number[]): Buffer {
  return bytes(field, Buffer.from(Float32Array.from(values).buffer))
}

export function packedDoubles(field: number, values: number[]): Buffer {
  return bytes(field, Buffer.from(Float64Array.from(values).buffer))
}

export function unpackedFloats(field: number, values: number[]): Buffer {
  const parts = values.map((value) => [varint(field * 8 + 5), Buffer.from(Float32Array.of(value).buffer)])
  return Buffer.concat(parts.flat())
}
