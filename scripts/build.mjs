// The one command behind npm, `googlenet build` and CI: checks the tools, compiles
// native/ with CMake (CMakeLists.txt), then lib/ with tsc. Nothing is done twice: both
// steps are skipped when no input is newer than the output.
// Options: --native-only --ts-only --debug --sanitize=thread|address --force
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generateErrors } from './generate-errors.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const allowed = /^--(native-only|ts-only|debug|force|sanitize=(thread|address))$/
const options = process.argv.slice(2)

function stop(message) {
  console.error(`googlenet build: ${message}`)
  process.exit(1)
}

function run(command, args, { env = {}, quiet = false } = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: quiet ? 'ignore' : 'inherit',
    env: { ...process.env, ...env },
  })
  return error ? false : status === 0
}

/** Newest modification time below the given files and folders, names included via folder times. */
function newest(paths) {
  let time = 0
  for (const path of paths) {
    const full = join(root, path)
    if (!existsSync(full)) continue
    const stats = statSync(full)
    time = Math.max(time, stats.mtimeMs)
    if (stats.isDirectory()) time = Math.max(time, newest(readdirSync(full).map((name) => join(path, name))))
  }
  return time
}

/** A stamp remembers the options and the newest input of the last build that ended well. */
function stampText(kind, inputs) {
  return JSON.stringify({ kind, arch: process.arch, newest: newest(inputs) })
}

function upToDate(stamp, text, output) {
  const file = join(root, stamp)
  if (options.includes('--force') || !existsSync(join(root, output)) || !existsSync(file)) return false
  return readFileSync(file, 'utf8') === text
}

/** Two builds in one checkout (an editor's and a shell's) must not write the same objects. */
function lockCheckout() {
  const file = join(root, 'build', '.lock')
  mkdirSync(dirname(file), { recursive: true })
  for (let waited = 0; ; waited += 1) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      break
    } catch {
      let owner = Number.NaN
      try {
        owner = Number(readFileSync(file, 'utf8'))
        process.kill(owner, 0)
      } catch (error) {
        // ESRCH: its owner died. ENOENT: just released. An empty file is being written.
        if (error.code === 'ESRCH') rmSync(file, { force: true })
      }
      if (owner === 0 && waited > 20) rmSync(file, { force: true })
      if (waited === 2) console.log(`googlenet build: waiting for process ${owner}, which is building here`)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250)
    }
  }
  process.on('exit', () => rmSync(file, { force: true }))
}

/** Compiler, CMake and Ninja; on Debian as root they are installed, else the command is named. */
function checkTools() {
  const missing = () => {
    const names = []
    if (!run(process.env.CXX ?? 'c++', ['--version'], { quiet: true })) names.push('g++')
    if (!run('cmake', ['--version'], { quiet: true })) names.push('cmake')
    if (!run('ninja', ['--version'], { quiet: true }) && !run('make', ['--version'], { quiet: true }))
      names.push('ninja-build')
    return names
  }
  const names = missing()
  if (names.length === 0) return
  if (!existsSync('/etc/debian_version'))
    stop(`missing: ${names.join(', ')}. Install a C++20 compiler, CMake >= 3.21 and Ninja, then run this again.`)
  const packages = ['g++', 'make', 'cmake', 'ninja-build']
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (process.getuid?.() !== 0) stop(`missing: ${names.join(', ')}. Run: sudo sh -c '${command}'`)
  console.log(`googlenet build: installing ${packages.join(' ')} (missing: ${names.join(', ')})`)
  run('sh', ['-c', command], { env: { DEBIAN_FRONTEND: 'noninteractive' } })
  if (missing().length > 0) stop(`could not install ${missing().join(', ')}. Run: ${command}`)
}

/** Where node_api.h and napi.h are: packages of headers alone, which an installed googlenet has too. */
function headerFolders() {
  return [require('node-api-headers').include_dir, dirname(require.resolve('node-addon-api/package.json'))]
}

function runCmake(args) {
  // A build under make or npm must not hand its job server to ours.
  return run('cmake', args, { env: { MAKEFLAGS: '', MAKELEVEL: '', NINJA_STATUS: 'googlenet %p %f/%t ' } })
}

function buildNative() {
  const debug = options.includes('--debug')
  const sanitize = options.find((option) => option.startsWith('--sanitize='))?.slice('--sanitize='.length) ?? ''
  const kind = sanitize || (debug ? 'debug' : 'release')
  const folder = kind === 'release' ? 'build/cmake' : `build/cmake-${kind}`
  // A sanitized addon must not be picked up by an ordinary run: GOOGLENET_PREBUILD names its folder.
  const output = sanitize ? `build/${sanitize}/build/Release` : debug ? 'build/Debug' : 'build/Release'
  const stamp = `${folder}/googlenet.stamp`
  const inputs = ['native', 'cmake', 'CMakeLists.txt', 'scripts/build.mjs']
  const addon = `${output}/googlenet.node`
  const text = stampText(kind, inputs)
  if (upToDate(stamp, text, addon)) return

  checkTools()
  const started = Date.now()
  const ninja = run('ninja', ['--version'], { quiet: true })
  const configure = [
    ...['-S', root, '-B', folder, '-G', ninja ? 'Ninja' : 'Unix Makefiles'],
    ...[`-DCMAKE_BUILD_TYPE=${debug ? 'Debug' : 'Release'}`, `-DGOOGLENET_SANITIZE=${sanitize}`],
    `-DGOOGLENET_NODE_API=${headerFolders().join(';')}`,
  ]
  if (sanitize) configure.push(`-DGOOGLENET_OUTPUT=${join(root, output)}`)
  // Another compiler or another library to link asks for a fresh folder.
  const settings = ['ONEDNN_ROOT', 'ONEDNN_SOURCE', 'JPEG_ROOT', 'JPEG_SOURCE', 'GOOGLENET_CACHE', 'CC', 'CXX']
  const wanted = JSON.stringify([configure, settings.map((name) => process.env[name] ?? '')])
  const mark = join(root, folder, 'configured.json')
  if (!existsSync(mark) || readFileSync(mark, 'utf8') !== wanted) {
    rmSync(join(root, folder), { recursive: true, force: true })
    if (!runCmake(configure)) stop('CMake could not be configured, see above')
    writeFileSync(mark, wanted)
  }
  if (!runCmake(['--build', folder, '--parallel', String(availableParallelism())]))
    stop('the native build failed, see the messages above')
  if (!existsSync(join(root, addon))) return
  writeFileSync(join(root, stamp), text)
  console.log(`googlenet build: native code done in ${((Date.now() - started) / 1000).toFixed(0)} s`)
}

/** A file that was removed from lib/ must not live on in dist/. */
function removeStale(folder = '') {
  for (const entry of readdirSync(join(root, 'dist', folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) removeStale(path)
    else if (!existsSync(join(root, 'lib', path.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts'))))
      rmSync(join(root, 'dist', path))
  }
}

function buildTypeScript() {
  generateErrors()
  if (!existsSync(join(root, 'lib'))) return
  const stamp = 'build/tsc.stamp'
  const text = stampText('tsc', ['lib', 'tsconfig.json', 'package.json'])
  if (upToDate(stamp, text, 'dist')) return
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const started = Date.now()
  if (!run(process.execPath, [tsc, '-p', 'tsconfig.json'])) stop('tsc found errors')
  if (existsSync(join(root, 'dist'))) removeStale()
  mkdirSync(join(root, 'build'), { recursive: true })
  writeFileSync(join(root, stamp), text)
  console.log(`googlenet build: TypeScript done in ${((Date.now() - started) / 1000).toFixed(0)} s`)
}

const unknown = options.filter((option) => !allowed.test(option))
if (unknown.length > 0) {
  const known = '--native-only --ts-only --debug --force --sanitize=thread|address'
  stop(`unknown option ${unknown.join(' ')}; known: ${known}`)
}
lockCheckout()
if (!options.includes('--ts-only')) buildNative()
if (!options.includes('--native-only')) buildTypeScript()
