// `npm run prebuilds`: prebuilds/<platform>-<arch>/ for a release, as node-gyp-build looks for it: the addon under a
// name that tells its libc, stripped, the licences of what is linked into it, and the CUDA backend where build/Release
// has one (`npm run build:cuda -- --arch=all`), which npm users without a compiler can then use. A release is built
// where glibc is old: it runs with that version or newer.
// Option: --output=FOLDER (default: prebuilds)
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const options = process.argv.slice(2)
function stop(message) {
  console.error(`googlenet prebuilds: ${message}`)
  process.exit(1)
}
const unknown = options.filter((option) => !/^--output=.+$/.test(option))
if (unknown.length > 0) stop(`unknown option ${unknown.join(' ')}; known: --output=FOLDER`)

execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--native-only'], { stdio: 'inherit' })
const folder = join(
  resolve(root, options.at(-1)?.slice('--output='.length) ?? 'prebuilds'),
  `${process.platform}-${process.arch}`,
)
rmSync(folder, { recursive: true, force: true })
mkdirSync(join(folder, 'licenses'), { recursive: true })

// node-gyp-build tells musl from glibc by Alpine's release file.
const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc'
const built = (name) => join(root, 'build', 'Release', name)
execFileSync('strip', [built('googlenet.node'), '-o', join(folder, `googlenet.${libc}.node`)])
if (existsSync(built('googlenet_cuda.so')))
  execFileSync('strip', [built('googlenet_cuda.so'), '-o', join(folder, 'googlenet_cuda.so')])

const linked = readFileSync(join(root, 'build/cmake/linked.txt'), 'utf8').split(';')
for (const library of linked.filter((name) => name.endsWith('.a'))) {
  const documents = join(dirname(dirname(library)), 'share', 'doc')
  const folders = existsSync(documents) ? readdirSync(documents).map((name) => join(documents, name)) : []
  const texts = folders.flatMap((name) => readdirSync(name).map((file) => join(name, file)))
  const licences = texts.filter((file) => /^(LICENSE|THIRD-PARTY|README\.ijg)/.test(basename(file)))
  // A system's own library keeps its licence elsewhere.
  if (licences.length === 0 || library.startsWith('/usr/'))
    stop(`found no licence of ${library} below ${documents}; build with the library from the cache instead`)
  for (const file of licences)
    copyFileSync(file, join(folder, 'licenses', `${basename(dirname(file))}-${basename(file)}`))
}

const symbols = execFileSync('readelf', ['-W', '--dyn-syms', built('googlenet.node')], { encoding: 'utf8' })
const minor = Math.max(...[...symbols.matchAll(/@GLIBC_2\.(\d+)/g)].map(([, number]) => Number(number)))
const needs = libc === 'glibc' ? `, needs glibc 2.${minor}` : ''
console.log(`googlenet prebuilds: ${folder}: ${readdirSync(folder).join(', ')}${needs}`)
