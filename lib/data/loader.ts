/**
 * Batches from a dataset, decoded ahead of their use. Every batch but the last of an epoch is full (a fixed batch size
 * is one plan for the engine): where an image cannot be decoded, the samples that follow move up. What comes out is a
 * pure function of dataset, policy, seed, epoch and position; threads, prefetch and timing have no part in it.
 */
import { fromNative, GoogLeNetError } from '../errors.js'
import { abortError, checkSignal, throwIfAborted } from '../lifetime.js'
import { type AugmentPolicy, type ImageSample, type NativePipeline, native } from '../native.js'
import { checkBoolean, checkKnown, checkOneOf, invalid } from '../options.js'
import { checkPolicy } from './augment.js'
import { type Chunk, decodeChunk, type SkippedImage } from './chunk.js'
import type { LabelledImage } from './dataset.js'
import { makeRenderer, type Part, type Rendered, type Renderer, type Rendering } from './rendering.js'

export type { SkippedImage } from './chunk.js'

/** What a Loader reads from; ImageFolder is one. */
export interface LoaderSource {
  readonly samples: readonly LabelledImage[]
  /** Positions in `samples`, each once. */
  order(seed: number, epoch: number): ArrayLike<number>
}

export interface LoaderOptions<R extends Rendering = 'host'> {
  batchSize: number
  policy: AugmentPolicy
  /** Who makes images of the photos. 'device': the GPU of the model that takes the batches; default 'host'. */
  render?: R
  /** Of order and augmentation; default 0. */
  seed?: number
  /** Decoding threads; default 0 = all that affinity and cgroup quota allow. */
  threads?: number
  /** Batches decoded ahead; default 3. */
  prefetch?: number
  /** Default true; false: in the order of the dataset, for evaluation. */
  shuffle?: boolean
  /** Leave out a last batch that is not full; default false. */
  dropLast?: boolean
  /** The first image that cannot be decoded is an error; default false. */
  strict?: boolean
  signal?: AbortSignal
}

export interface LoadedBatch<R extends Rendering = 'host'> {
  /** (count, 3, size, size), B G R minus mean; or photos, for a model on a GPU. */
  images: Rendered[R]
  labels: Int32Array
  /** Positions in the dataset. */
  indices: Int32Array
  count: number
  /** What was passed over since the batch before. */
  skipped: SkippedImage[]
  epoch: number
  /** Samples of the epoch consumed up to and with this batch, skipped ones included: where to resume. */
  position: number
  /**
   * Gives the memory of `images` to batches to come, as soon as a loop is done with this one; `images` is empty
   * afterwards. Optional: the garbage collector does it otherwise, later and at a price. Idempotent.
   */
  release(): void
}

function whole(name: string, value: number, low: number, high = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value
  throw invalid(
    name,
    `a whole number ${high < Number.MAX_SAFE_INTEGER ? `from ${low} to ${high}` : `of at least ${low}`}`,
    value,
  )
}

const OPTIONS = [
  ...['batchSize', 'policy', 'render', 'seed', 'threads', 'prefetch'],
  ...['shuffle', 'dropLast', 'strict', 'signal'],
]

/** An epoch under way. */
interface Run {
  pipeline: NativePipeline
  /** Rejects what is being waited for. */
  interrupt?: (reason: unknown) => void
}

/** A chunk partly used up; `from` counts its images, `start` is its first sample's position in the epoch. */
interface Piece<Images> {
  chunk: Chunk<Images>
  start: number
  from: number
}

export class Loader<R extends Rendering = 'host'> implements AsyncIterable<LoadedBatch<R>>, AsyncDisposable {
  readonly #source: LoaderSource
  readonly #options: Required<Omit<LoaderOptions<R>, 'signal'>> & { signal: AbortSignal | undefined }
  readonly #renderer: Renderer<Rendered[R]>
  readonly #running = new Set<Run>()
  #disposed = false

  /** Milliseconds spent waiting for batches, over all epochs. */
  waitMs = 0
  /** Images passed over, over all epochs. */
  skippedCount = 0

  /** Throws INVALID_ARGUMENT or UNKNOWN_OPTION. */
  constructor(source: LoaderSource, options: LoaderOptions<R>) {
    checkKnown('Loader', options, OPTIONS)
    if (!Array.isArray(source?.samples) || typeof source.order !== 'function')
      throw invalid('source', 'an ImageFolder, or { samples, order }', source)
    checkSignal(options.signal)
    this.#source = source
    this.#options = {
      batchSize: whole('batchSize', options.batchSize, 1),
      policy: checkPolicy(options.policy),
      render: checkOneOf('render', options.render ?? 'host', ['host', 'device']) as R,
      seed: whole('seed', options.seed ?? 0, 0),
      threads: whole('threads', options.threads ?? 0, 0, 1024),
      prefetch: whole('prefetch', options.prefetch ?? 3, 1),
      shuffle: checkBoolean('shuffle', options.shuffle ?? true),
      dropLast: checkBoolean('dropLast', options.dropLast ?? false),
      strict: checkBoolean('strict', options.strict ?? false),
      signal: options.signal,
    }
    const { render, policy, seed } = this.#options
    this.#renderer = makeRenderer(render, policy, seed)
  }

  /** Batches of an epoch in which nothing is skipped. */
  get batches(): number {
    const { batchSize, dropLast } = this.#options
    const exact = this.#source.samples.length / batchSize
    return dropLast ? Math.floor(exact) : Math.ceil(exact)
  }

  /** Epoch 0. */
  [Symbol.asyncIterator](): AsyncGenerator<LoadedBatch<R>, void, undefined> {
    return this.epoch(0)
  }

  /**
   * The batches of one epoch, from `position` on (samples consumed, as a batch reported it). Leaving the loop ends the
   * decoding.
   *
   * Throws DISPOSED, AbortError, OUT_OF_MEMORY, DATASET_EMPTY (no image at all could be decoded), and when strict
   * IMAGE_DECODE, FILE_NOT_FOUND or FILE_READ with the file's name.
   */
  async *epoch(
    epoch: number,
    options: { position?: number; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<LoadedBatch<R>, void, undefined> {
    checkKnown('epoch', options, ['position', 'signal'])
    const { position = 0, signal = this.#options.signal } = options
    whole('epoch', epoch, 0, 0xffffffff)
    whole('position', position, 0)
    throwIfAborted(signal)
    this.#check()
    const { policy, render, seed, threads } = this.#options
    const photos = render === 'device'
    const run: Run = { pipeline: new (native().Pipeline)({ policy, photos, seed, threads }) }
    const onAbort = () => {
      run.interrupt?.(abortError(signal))
      void run.pipeline.dispose()
    }
    this.#running.add(run)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      yield* this.#batches(epoch, position, run, signal)
    } catch (error) {
      throwIfAborted(signal)
      throw fromNative(error, signal)
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#running.delete(run)
      await run.pipeline.dispose()
    }
  }

  async *#batches(
    epoch: number,
    position: number,
    run: Run,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<LoadedBatch<R>, void, undefined> {
    const { batchSize, seed, prefetch, shuffle, dropLast } = this.#options
    const renderer = this.#renderer
    const { samples } = this.#source
    const total = samples.length
    const order = shuffle ? this.#source.order(seed, epoch) : undefined
    const ahead: { start: number; chunk: Promise<Chunk<Rendered[R]>> }[] = []
    const pieces: Piece<Rendered[R]>[] = []
    let pushed = position
    // Images that chunks fell short of. The next chunk is longer by as many, so that batches are whole chunks again and
    // need no copy.
    let missing = 0
    let ready = 0
    let delivered = 0
    let skipped: { at: number; image: SkippedImage }[] = []

    const push = () => {
      const start = pushed
      pushed = Math.min(total, start + batchSize + missing)
      missing = 0
      const wanted = Array.from({ length: pushed - start }, (_, i): ImageSample => {
        const index = order ? (order[start + i] as number) : start + i
        return { ...(samples[index] as LabelledImage), index }
      })
      const chunk = decodeChunk(run.pipeline, wanted, renderer, epoch)
      chunk.catch(() => {}) // reported when its turn comes
      ahead.push({ start, chunk })
    }

    while (true) {
      while (ahead.length < prefetch && pushed < total) push()
      while (ready < batchSize && ahead.length > 0) {
        const { start, chunk: promise } = ahead.shift() as { start: number; chunk: Promise<Chunk<Rendered[R]>> }
        const chunk = await this.#wait(promise, run)
        for (const { place, image } of chunk.skipped) skipped.push({ at: start + place, image })
        this.#countSkipped(chunk)
        missing += chunk.skipped.length
        ready += chunk.count
        if (chunk.count > 0) pieces.push({ chunk, start, from: 0 })
        if (pushed < total) push()
      }
      throwIfAborted(signal)
      this.#check()
      const count = Math.min(batchSize, ready)
      if (count === 0) break
      if (count < batchSize && dropLast) return
      const batch = cut(pieces, count, renderer)
      ready -= count
      delivered += count
      // The last batch also answers for what was passed over after it.
      const end = ready === 0 && ahead.length === 0 && pushed === total ? total : batch.end
      const passed = skipped.filter(({ at }) => at < end).map(({ image }) => image)
      skipped = skipped.filter(({ at }) => at >= end)
      const { images, labels, indices } = batch
      // A part of a chunk shares its memory with the next batch.
      const release = () => {
        const bytes = renderer.bytes(images)
        if (bytes.byteLength > 0 && bytes.byteLength === bytes.buffer.byteLength) native().releaseImages(bytes)
      }
      yield { images, labels, indices, count, skipped: passed, epoch, position: end, release }
    }
    if (delivered === 0 && position === 0)
      throw new GoogLeNetError(
        'GOOGLENET_ERR_DATASET_EMPTY',
        total === 0
          ? 'the dataset holds no images'
          : `none of the ${total} images could be decoded; the first: ${skipped[0]?.image.path}: ${skipped[0]?.image.message}`,
      )
  }

  /** Ends all epochs that run, with DISPOSED. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposed = true
    const reason = this.#disposedError()
    await Promise.all(
      [...this.#running].map((run) => {
        run.interrupt?.(reason)
        return run.pipeline.dispose()
      }),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  #disposedError(): GoogLeNetError {
    return new GoogLeNetError('GOOGLENET_ERR_DISPOSED', 'this Loader was disposed of and cannot be used any more')
  }

  #check(): void {
    if (this.#disposed) throw this.#disposedError()
  }

  #countSkipped(chunk: Chunk<unknown>): void {
    this.skippedCount += chunk.skipped.length
    const first = chunk.skipped[0]?.image
    if (first && this.#options.strict) throw new GoogLeNetError(first.code, `${first.path}: ${first.message}`)
  }

  /** Waits for a chunk, or for abort or dispose, whichever comes first (sharp cannot be interrupted). */
  async #wait<T>(chunk: Promise<T>, run: Run): Promise<T> {
    const since = performance.now()
    try {
      return await new Promise<T>((resolve, reject) => {
        run.interrupt = reject
        chunk.then(resolve, reject)
      })
    } finally {
      delete run.interrupt
      this.waitMs += performance.now() - since
    }
  }
}

/** Takes `count` images from the front; without copying when one chunk holds them. end: one past the last's sample. */
function cut<Images>(
  pieces: Piece<Images>[],
  count: number,
  renderer: Renderer<Images>,
): { images: Images; labels: Int32Array; indices: Int32Array; end: number } {
  const parts: Part<Images>[] = []
  const labels = new Int32Array(count)
  const indices = new Int32Array(count)
  let end = 0
  for (let done = 0; done < count; ) {
    const piece = pieces[0] as Piece<Images>
    const { chunk, from, start } = piece
    const taken = Math.min(count - done, chunk.count - from)
    parts.push({ images: chunk.images, from, count: taken })
    labels.set(chunk.labels.subarray(from, from + taken), done)
    indices.set(chunk.indices.subarray(from, from + taken), done)
    end = start + (chunk.places[from + taken - 1] as number) + 1
    piece.from += taken
    done += taken
    if (piece.from === chunk.count) pieces.shift()
  }
  return { images: renderer.join(parts), labels, indices, end }
}
