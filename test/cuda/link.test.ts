/** What the binaries ask the loader for: nothing of CUDA, neither the addon nor the backend. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { nativeAbsent, nativeSkipReason } from '../ops/process.js'

const path = (name: string) => fileURLToPath(new URL(`../../build/Release/${name}`, import.meta.url))
const backend = path('googlenet_cuda.so')
const text = (command: string, args: string[]) => execFileSync(command, args, { encoding: 'utf8' })
const needed = (file: string) =>
  [...text('readelf', ['-d', file]).matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name!)

/** glibc and the loader; what else is in a library was linked into it. */
const SYSTEM = /^(libc|libm|libdl|librt|libpthread|ld-linux[-\w]*)\.so\.\d+$/

describe.skipIf(nativeAbsent)(`libraries${nativeSkipReason}`, () => {
  test('the addon needs nothing of CUDA', () => {
    const names = needed(path('googlenet.node'))
    expect(names).toContain('libc.so.6')
    expect(names.filter((name) => /cuda|cudnn|cublas|nvrtc|nvidia/i.test(name))).toEqual([])
  })

  const skipReason = existsSync(backend) ? '' : ' (skipped: not built, run npm run build:cuda)'
  test.skipIf(skipReason !== '')(`the backend needs glibc only and exports its table only${skipReason}`, () => {
    expect(needed(backend).filter((name) => !SYSTEM.test(name))).toEqual([])
    const exported = text('nm', ['-D', '--defined-only', backend]).trim().split('\n')
    expect(exported.map((line) => line.split(' ').at(-1))).toEqual(['googlenet_cuda_backend'])
  })
})
