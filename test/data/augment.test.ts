// Native augmentation against an independent reference, and its randomness against what the policies promise.
import { describe, expect, test } from 'vitest'
import { policies } from '../../lib/data/augment.js'
import { type AugmentPolicy, type DecodedImage, native } from '../../lib/native.js'
import { failure, pixels } from './fixtures.js'

const image = (width: number, height: number, seed = 1): DecodedImage => ({
  width,
  height,
  data: pixels(width, height, seed),
})

/** The photo resized to `to` by PIL's BILINEAR rule (a triangle as wide as one output pixel), its centre of `size`. */
function reference(src: DecodedImage, to: [number, number], policy: AugmentPolicy): Float64Array {
  const { size, mean } = policy
  const out = new Float64Array(3 * size * size)
  const offset = to.map((side) => Math.floor((side - size) / 2)) as [number, number]
  const taps = (at: number, scaled: number, side: number): [number, number][] => {
    const scale = side / scaled
    const reach = Math.max(1, scale)
    const centre = (at + 0.5) * scale
    const weights = Array.from({ length: side }, (_, i) => Math.max(0, 1 - Math.abs(i + 0.5 - centre) / reach))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return weights.flatMap((weight, i): [number, number][] => (weight > 0 ? [[i, weight / total]] : []))
  }
  const across = Array.from({ length: size }, (_, x) => taps(x + offset[0], to[0], src.width))
  const down = Array.from({ length: size }, (_, y) => taps(y + offset[1], to[1], src.height))
  for (const [y, rows] of down.entries())
    for (const [x, columns] of across.entries())
      for (let c = 0; c < 3; c++) {
        let level = 0
        for (const [row, v] of rows)
          for (const [column, u] of columns) level += u * v * (src.data[(row * src.width + column) * 3 + c] as number)
        out[((2 - c) * size + y) * size + x] = Math.round(level) - (mean[2 - c] as number)
      }
  return out
}

/** Largest difference, and how many differ at all (rounding of exact halves may). */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): { most: number; share: number } {
  expect(a.length).toBe(b.length)
  let most = 0
  let differing = 0
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs((a[i] as number) - (b[i] as number))
    most = Math.max(most, d)
    if (d > 1e-4) differing++
  }
  return { most, share: differing / a.length }
}

const run = (src: DecodedImage, policy: AugmentPolicy, index = 0, epoch = 0, seed = 1) =>
  native().augment(src, policy, seed, epoch, index)

describe('without chance', () => {
  test.each([
    ['warp', [500, 371], [64, 64]],
    ['warp', [50, 40], [64, 64]],
    ['warp', [64, 64], [64, 64]],
    ['short', [500, 371], [86, 64]],
    ['short', [371, 500], [64, 86]],
    ['none', [101, 77], [101, 77]],
    ['none', [30, 40], [56, 74]],
    ['none', [1, 1], [56, 56]],
  ] as const)('%s of %j equals the reference resized to %j', async (mode, [width, height], to) => {
    const policy = policies.evaluate({ size: 56, resize: 64, mode })
    const src = image(width, height)
    const { most, share } = difference(await run(src, policy), reference(src, [...to], policy))
    expect(most).toBeLessThanOrEqual(1)
    expect(share).toBeLessThan(2e-3)
  })

  test('the identity is exact', async () => {
    const src = image(56, 56)
    const policy = policies.evaluate({ size: 56, mode: 'none', mean: [1, 2, 3] })
    expect(difference(await run(src, policy), reference(src, [56, 56], policy)).most).toBe(0)
  })

  test('the same input comes out whatever seed, epoch and index', async () => {
    const policy = policies.evaluate({ size: 32 })
    expect(await run(image(40, 50), policy, 1, 2, 3)).toEqual(await run(image(40, 50), policy, 4, 5, 6))
  })
})

describe('mirror', () => {
  test('turns the row around, half of the time', async () => {
    const src = image(40, 40)
    const size = 40
    const policy = { ...policies.none({ size }), mirror: 0.5 }
    const plain = await run(src, { ...policy, mirror: 0 })
    const turned = await run(src, { ...policy, mirror: 1 })
    for (let row = 0; row < 3 * size; row++)
      expect(turned.slice(row * size, (row + 1) * size).reverse()).toEqual(plain.slice(row * size, (row + 1) * size))
    let mirrored = 0
    for (let index = 0; index < 2000; index++) {
      const first = (await run(src, policy, index))[0]
      if (first === turned[0]) mirrored++
      else expect(first).toBe(plain[0])
    }
    expect(turned[0]).not.toBe(plain[0])
    expect(Math.abs(mirrored - 1000)).toBeLessThan(90) // 4 standard deviations
  })
})

/** A photo whose red is x and whose green is y: the output's corners tell the box. */
function ramp(width: number, height: number): DecodedImage {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set([x, y, 0], (y * width + x) * 3)
  return { width, height, data }
}
const zero = [0, 0, 0] as const

describe('random crops', () => {
  test('of the resized photo lie everywhere equally often', async () => {
    const size = 24
    const policy = policies.caffe({ size, resize: 32, mirror: false, mean: zero })
    const counts = { x: new Array<number>(9).fill(0), y: new Array<number>(9).fill(0) }
    const tries = 4500
    for (let index = 0; index < tries; index++) {
      const out = await run(ramp(32, 32), policy, index)
      const x = out[2 * size * size] as number
      const y = out[size * size] as number
      counts.x[x] = (counts.x[x] ?? Number.NaN) + 1
      counts.y[y] = (counts.y[y] ?? Number.NaN) + 1
    }
    for (const row of [counts.x, counts.y]) {
      const chi = row.reduce((sum, n) => sum + (n - tries / 9) ** 2 / (tries / 9), 0)
      expect(chi).toBeLessThan(30) // 8 degrees of freedom: beyond this twice in ten thousand seeds
    }
  })

  test('by area: 8 to 100 % of it, aspect 3/4 to 4/3, within the photo, evenly', async () => {
    const size = 16
    const [width, height] = [240, 200]
    const policy = { ...policies.inception({ size, colour: false, mirror: false, mean: zero }) }
    const areas: number[] = []
    const aspects: number[] = []
    const src = ramp(width, height)
    for (let index = 0; index < 2000; index++) {
      const out = await run(src, policy, index)
      // Interior samples, since the outermost are clamped to the box: a ramp stays a ramp under any filter.
      const row = (size / 2) * size
      const red = (x: number) => out[2 * size * size + row + x] as number
      const green = (y: number) => out[size * size + y * size + size / 2] as number
      const w = ((red(13) - red(2)) / 11) * size
      const h = ((green(13) - green(2)) / 11) * size
      const centre = [(red(7) + red(8)) / 2 + 0.5, (green(7) + green(8)) / 2 + 0.5] as const
      expect(centre[0] - w / 2).toBeGreaterThan(-2)
      expect(centre[0] + w / 2).toBeLessThan(width + 2)
      expect(centre[1] - h / 2).toBeGreaterThan(-2)
      expect(centre[1] + h / 2).toBeLessThan(height + 2)
      areas.push((w * h) / (width * height))
      aspects.push(Math.log(w / h))
    }
    expect(Math.min(...areas)).toBeGreaterThan(0.07)
    expect(Math.max(...areas)).toBeLessThan(1.03)
    expect(Math.min(...aspects)).toBeGreaterThan(Math.log(3 / 4) - 0.08)
    expect(Math.max(...aspects)).toBeLessThan(Math.log(4 / 3) + 0.08)
    // Boxes up to 40 % of the area always fit, so their share is that of the uniform law among all first tries; above,
    // some are drawn again. Half of [0.08, 0.54] against the other half:
    const low = areas.filter((area) => area < 0.31).length
    const middle = areas.filter((area) => area >= 0.31 && area < 0.54).length
    expect(low / middle).toBeGreaterThan(0.85)
    expect(low / middle).toBeLessThan(1.18)
    const small = areas.flatMap((area, i) => (area < 0.4 ? [aspects[i] as number] : []))
    const mean = small.reduce((sum, aspect) => sum + aspect, 0) / small.length
    expect(Math.abs(mean)).toBeLessThan(0.03) // log-uniform: as often wide as tall
  })

  test('no box fits a very wide photo: the middle of it', async () => {
    const size = 8
    const policy = policies.inception({ size, colour: false, mirror: false, areaMin: 0.99, mean: zero })
    const out = await run(ramp(250, 10), policy)
    const red = (x: number) => out[2 * size * size + x] as number
    expect(Math.abs((red(3) + red(4)) / 2 - 124.5)).toBeLessThanOrEqual(1)
    expect(red(7) - red(0)).toBeLessThan(14)
  })

  test('shrinking averages: a fine pattern becomes grey', async () => {
    const [width, height] = [128, 128]
    const data = new Uint8Array(width * height * 3)
    for (let i = 0; i < width * height; i++)
      data.fill(((i % width) + Math.floor(i / width)) % 2 ? 255 : 0, i * 3, i * 3 + 3)
    const policy = {
      ...policies.inception({ size: 16, colour: false, mean: zero }),
      areaMin: 1,
      aspectMin: 1,
      aspectMax: 1,
    }
    for (const level of await run({ width, height, data }, policy)) expect(Math.abs(level - 127.5)).toBeLessThan(3)
  })
})

describe('colours', async () => {
  const base = policies.none({ size: 20, mean: zero })
  const src = image(20, 20)
  const plain = await run(src, base)
  const luma = (v: Float32Array, i: number) =>
    0.114 * (v[i] as number) + 0.587 * (v[400 + i] as number) + 0.299 * (v[800 + i] as number)

  test('brightness multiplies all by one factor in [0.5, 1.5]', async () => {
    const drawn = Array.from({ length: 300 }, async (_, index) => {
      const out = await run(src, { ...base, brightness: 0.5 }, index)
      const at = plain.findIndex((v) => v > 40 && v < 150)
      const factor = (out[at] as number) / (plain[at] as number)
      for (let i = 0; i < out.length; i += 7)
        expect(out[i]).toBeCloseTo(Math.min(255, (plain[i] as number) * factor), 2)
      return factor
    })
    const factors = await Promise.all(drawn)
    expect(Math.min(...factors)).toBeGreaterThanOrEqual(0.4999)
    expect(Math.min(...factors)).toBeLessThan(0.55)
    expect(Math.max(...factors)).toBeGreaterThan(1.45)
    expect(Math.max(...factors)).toBeLessThanOrEqual(1.5001)
  })

  test('contrast pulls towards the mean luma, saturation towards each luma', async () => {
    let mean = 0
    for (let i = 0; i < 400; i++) mean += luma(plain, i) / 400
    for (let index = 0; index < 50; index++) {
      const contrast = await run(src, { ...base, contrast: 0.3 }, index)
      const saturation = await run(src, { ...base, saturation: 0.3 }, index)
      const unclipped = (v: Float32Array, i: number) => (v[i] as number) > 0.5 && (v[i] as number) < 254.5
      const factors = (v: Float32Array, centre: (i: number) => number) =>
        [...v.keys()]
          .filter((i) => unclipped(v, i) && Math.abs((plain[i] as number) - centre(i)) > 20)
          .map((i) => ((v[i] as number) - centre(i)) / ((plain[i] as number) - centre(i)))
      for (const all of [factors(contrast, () => mean), factors(saturation, (i) => luma(plain, i % 400))]) {
        expect(Math.max(...all) - Math.min(...all)).toBeLessThan(1e-3)
        expect(all[0]).toBeGreaterThan(0.699)
        expect(all[0]).toBeLessThan(1.301)
      }
    }
  })

  test('all stay in 0..255 and the order varies', async () => {
    const policy = { ...base, brightness: 0.5, contrast: 0.5, saturation: 0.5 }
    for (let index = 0; index < 100; index++)
      for (const v of await run(src, policy, index)) if (!(v >= 0 && v <= 255)) throw new Error(`${v}`)
  })

  test('lighting adds one colour to all, along the eigenvectors, with the stated spread', async () => {
    const drawn = Array.from({ length: 2000 }, async (_, index) => {
      const out = await run(src, { ...base, lighting: 0.1 }, index)
      return [0, 1, 2].map((c) => {
        const d = (out[c * 400] as number) - (plain[c * 400] as number)
        expect((out[c * 400 + 399] as number) - (plain[c * 400 + 399] as number)).toBeCloseTo(d, 3)
        return d
      }) as [number, number, number]
    })
    const added = await Promise.all(drawn)
    // B, G, R: sqrt(sum over eigenvectors of (vector * value)^2) * 255 * 0.1
    const spread = [0, 1, 2].map((c) => Math.sqrt(added.reduce((sum, d) => sum + (d[c] as number) ** 2, 0) / 2000))
    const expected = [
      [-0.5836, -0.6948, 0.4203],
      [-0.5808, -0.0045, -0.814],
      [-0.5675, 0.7192, 0.4009],
    ].map((v) => 25.5 * Math.hypot((v[0] as number) * 0.2175, (v[1] as number) * 0.0188, (v[2] as number) * 0.0045))
    for (const [c, value] of expected.entries()) expect((spread[c] as number) / value).toBeCloseTo(1, 1)
  })

  test('switching one off leaves the others as they were', async () => {
    const both = { ...base, brightness: 0.4, lighting: 0.1 }
    const grey = { width: 20, height: 20, data: new Uint8Array(1200).fill(100) }
    const d = ((await run(grey, both, 3))[0] as number) - ((await run(grey, { ...both, lighting: 0 }, 3))[0] as number)
    const light = ((await run(grey, { ...both, brightness: 0 }, 3))[0] as number) - 100
    expect(d).toBeCloseTo(light, 3)
  })
})

describe('bad input', () => {
  test.each([
    [{ ...image(4, 4), width: 5 }, policies.none(), 'GOOGLENET_ERR_INVALID_SHAPE'],
    [{ ...image(4, 4), width: 0 }, policies.none(), 'GOOGLENET_ERR_INVALID_SHAPE'],
    [{ ...image(4, 4), data: [] }, policies.none(), 'GOOGLENET_ERR_INVALID_ARGUMENT'],
    [image(4, 4), { ...policies.none(), crop: 'left' }, 'GOOGLENET_ERR_INVALID_ARGUMENT'],
    [image(4, 4), { ...policies.none(), size: 0 }, 'GOOGLENET_ERR_INVALID_ARGUMENT'],
    [image(4, 4), { ...policies.none(), mean: [1] }, 'GOOGLENET_ERR_INVALID_ARGUMENT'],
    [image(4, 4), undefined, 'GOOGLENET_ERR_INVALID_ARGUMENT'],
  ])('case %#', async (src, policy, code) => {
    expect((await failure(() => run(src as never, policy as never))).code).toBe(code)
  })
})
