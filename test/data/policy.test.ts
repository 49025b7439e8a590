// Augmentation policies as data.
import { describe, expect, test } from 'vitest'
import { checkPolicy, policies } from '../../lib/data/augment.js'
import { failure } from './fixtures.js'

describe('policies', () => {
  test('caffe', () => {
    expect(policies.caffe()).toMatchObject({ size: 224, resize: 'warp', resizeTo: 256, crop: 'random', mirror: 0.5 })
    expect(policies.caffe({ size: 64 }).resizeTo).toBe(73)
    expect(policies.caffe({ size: 200, resize: 200, mirror: false })).toMatchObject({ resizeTo: 200, mirror: 0 })
  })
  test('inception', () => {
    const policy = policies.inception({ size: 96 })
    expect(policy).toMatchObject({ size: 96, crop: 'area', areaMin: 0.08, areaMax: 1, mirror: 0.5, brightness: 0.5 })
    expect([policy.aspectMin, policy.aspectMax]).toEqual([3 / 4, 4 / 3])
    expect(policies.inception({ colour: false })).toMatchObject({ contrast: 0, lighting: 0 })
  })
  test('evaluate and none', () => {
    expect(policies.evaluate({ mode: 'short' })).toMatchObject({ resize: 'short', resizeTo: 256, crop: 'center' })
    expect(policies.none({ size: 32 })).toMatchObject({ resize: 'warp', resizeTo: 32, size: 32, mirror: 0 })
  })
  test('are frozen', () => {
    expect(Object.isFrozen(policies.none())).toBe(true)
  })
  test.each([
    [{ size: 0 }, 'size'],
    [{ size: 1.5 }, 'size'],
    [{ resizeTo: 100 }, 'resizeTo'],
    [{ resize: 'fit' }, 'resize'],
    [{ crop: 'middle' }, 'crop'],
    [{ areaMin: 0 }, 'areaMin'],
    [{ areaMin: 0.9, areaMax: 0.5 }, 'areaMin'],
    [{ aspectMin: 2 }, 'aspectMin'],
    [{ mirror: 2 }, 'mirror'],
    [{ brightness: Number.NaN }, 'brightness'],
    [{ lighting: -1 }, 'lighting'],
    [{ mean: [1, 2] }, 'mean'],
  ])('%j is refused by name', async (change, field) => {
    const error = await failure(() => checkPolicy({ ...policies.evaluate(), ...change } as never))
    expect(error.code).toBe('GOOGLENET_ERR_INVALID_ARGUMENT')
    expect(error.message).toContain(`${field} must be`)
  })
  test.each<[string, () => unknown, string]>([
    ['colour misspelt', () => policies.inception({ color: false } as never), "did you mean 'colour'"],
    ['mirror by a word', () => policies.caffe({ mirror: 'x' as never }), "mirror: expected true or false, got 'x'"],
    ['colour by a number', () => policies.inception({ colour: 0 as never }), 'colour: expected true or false, got 0'],
    ['null', () => policies.caffe(null as never), 'policies.caffe options: expected an object, got null'],
    ['an option of another', () => policies.none({ resize: 5 } as never), "policies.none: unknown option 'resize'"],
    ['a mean beyond float32', () => policies.none({ mean: [1e300, 0, 0] }), 'mean must be three numbers'],
    ['a size that JSON has no word for', () => policies.none({ size: 5n as never }), 'not 5n'],
    ['no policy', () => checkPolicy(undefined as never), 'expected what one of policies returns, got undefined'],
  ])('refuses %s', async (_, make, message) => {
    const error = await failure(make)
    expect(error.name).toBe('GoogLeNetError')
    expect(error.message).toContain(message)
  })
  test('a field that does not exist is refused', async () => {
    const error = await failure(() => checkPolicy({ ...policies.none(), flip: 1 } as never))
    expect(error).toMatchObject({ code: 'GOOGLENET_ERR_UNKNOWN_OPTION' })
    expect(error.message).toContain('flip')
  })
})
