// What `npm run bundle:gpu -- --node` adds: this machine's Node, and the built package with its tests, its bench and the
// modules that they need, for machines that have neither Node nor a registry (glibc of this machine's age or younger).
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const PARTS = ['dist', 'lib', 'native', 'test', 'bench', 'scripts', 'build/gpu-driver', 'package.json']
const CONFIGURATION = ['vitest.config.ts', 'tsconfig.json', 'tsconfig.test.json', 'LICENSE', 'NOTICE']

/** Names of the installed modules that the package needs at run time, and Vitest with its own. */
function modules(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const found = new Set()
  const visit = (name) => {
    const entry = packages[`node_modules/${name}`]
    if (!entry || found.has(name) || !existsSync(join(root, 'node_modules', name))) return
    found.add(name)
    for (const next of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) visit(next)
  }
  for (const name of [...Object.keys(packages[''].dependencies), 'vitest']) visit(name)
  return found
}

/** @param {string} folder the bundle's @param {string} backend path of the CUDA backend */
export function bundleNode(root, folder, backend) {
  const place = join(folder, 'package')
  // Modification times tell what of the driver is built.
  const options = { recursive: true, dereference: true, preserveTimestamps: true }
  const filter = (source) => !source.includes('.peers')
  const list = [...PARTS, ...CONFIGURATION, ...[...modules(root)].map((name) => `node_modules/${name}`)]
  for (const part of list) cpSync(join(root, part), join(place, part), { ...options, filter })
  mkdirSync(join(place, 'build/Release'), { recursive: true })
  copyFileSync(join(root, 'build/Release/googlenet.node'), join(place, 'build/Release/googlenet.node'))
  copyFileSync(backend, join(place, 'build/Release/googlenet_cuda.so'))
  copyFileSync(process.execPath, join(folder, 'node'))
}
