/** Values of a blob for many images: cut into pieces, each decoded and computed, as many side by side as the model does. */
import type { Photos } from '../data/rendering.js'
import type { NativeInput } from '../native.js'
import {
  type ImageInput,
  type ImageTensor,
  isTensor,
  partOf,
  pieces,
  piecesAtOnce,
  prepare,
  toInput,
} from './images.js'
import type { GoogLeNet } from './model.js'
import type { FeatureOptions, Features } from './model-options.js'

/** @param run computes the blob, (C,H,W) an image, of one piece */
export async function featuresOf(
  model: Pick<GoogLeNet, 'device' | 'streams' | 'options'>,
  images: ImageInput | readonly ImageInput[] | ImageTensor | Photos,
  [c, h, w]: readonly [number, number, number],
  resize: NonNullable<FeatureOptions['resize']>,
  run: (input: NativeInput) => Promise<Float32Array>,
): Promise<Features> {
  const size = model.options.inputSize
  const tensor = isTensor(images) ? toInput(images, size) : undefined
  const list = isTensor(images) ? [] : Array.isArray(images) ? [...images] : [images]
  const total = tensor?.shape[0] ?? list.length
  const values = new Float32Array(total * c * h * w)
  const rest = pieces(total, model) // all loops take from it, and it ends for all of them when one throws
  const loop = async () => {
    for (const { start, count } of rest) {
      const input = tensor
        ? partOf(tensor, start, count)
        : toInput(await prepare(list.slice(start, start + count), size, resize), size)
      values.set(await run(input), start * c * h * w)
    }
  }
  await Promise.all(Array.from({ length: piecesAtOnce(model) }, loop))
  return { shape: [total, c, h, w], data: values }
}
