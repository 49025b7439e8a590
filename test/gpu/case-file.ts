/** Writes the file of cases that the driver reads (case_file.h says how it looks). */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Filler, LayerRow } from '../../lib/model/layer.js'

type Value = string | number | boolean | readonly (string | number)[] | undefined
type Fields = Record<string, Value>

/** Of a tensor with more values so many are written, evenly spaced: a wrong kernel shows in any of them. */
const MOST_VALUES = 4096

export class CaseFile implements Disposable {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'w')
    writeSync(this.#file, 'googlenet cases 1\n')
  }

  line(word: string, fields: Fields = {}, data?: Float32Array | Uint8Array | Int32Array): void {
    const all = data ? { ...fields, bytes: data.byteLength } : fields
    const texts = Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]))
    writeSync(this.#file, `${[word, ...texts].join('\t')}\n`)
    if (!data || data.byteLength === 0) return
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    for (let start = 0; start < bytes.length; ) start += writeSync(this.#file, bytes, start)
    writeSync(this.#file, '\n')
  }

  row(row: LayerRow): void {
    const filler = (value: Filler) => (value.type === 'constant' ? `constant,${value.value}` : value.type)
    const fields = Object.entries(row).map(([key, value]) => [key, key.endsWith('Filler') ? filler(value) : value])
    this.line('row', Object.fromEntries(fields))
  }

  /** An expected tensor, or evenly spaced values of it. */
  expect(kind: 'output' | 'gradient' | 'inputGradient', name: string, data: Float32Array, tolerance: number): void {
    // Odd: rows and channels, whose lengths are mostly even, are met at every place.
    const stride = Math.ceil(data.length / MOST_VALUES) | 1
    const values = Float32Array.from({ length: Math.ceil(data.length / stride) }, (_, i) => data[i * stride]!)
    const scale = data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
    this.line('expect', { kind, name, values: data.length, stride, scale, tolerance }, values)
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
