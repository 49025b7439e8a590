// `googlenet build --cuda`, `npm run build:cuda`: the CUDA backend, googlenet_cuda.so beside the addon. Needs a C++
// compiler, and CUDA 13 with cuDNN 9's headers: the system's (CUDA_HOME, nvcc on the path, /usr/local/cuda), else
// NVIDIA's wheels from PyPI, which land once in the cache folder. No GPU and no driver are needed to build.
// Options: --arch=75,80,…|all (default: this machine's GPUs, else 90) --output=FOLDER (default: build/Release) --force
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, homedir } from 'node:os'
import { basename, delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What a release serves: Turing to Blackwell; the newest as PTX too, for what comes after. */
const ALL = ['75', '80', '86', '89', '90', '100', '120']
/** The engine's thread pool, which copies and compiles here too, and the file of what tuning has found. */
const SHARED = ['core/threads.cc', 'core/cores.cc', 'backend/tuning_cache.cc'].map((name) => join('native', name))
const WHEELS = [
  ...['nvcc', 'crt', 'runtime', 'cccl', 'nvrtc'].map((name) => `nvidia-cuda-${name}==13.0.*`),
  'nvidia-nvvm==13.0.*',
  'nvidia-cublas==13.*',
  'nvidia-cudnn-cu13==9.*',
]

function stop(message) {
  console.error(`googlenet build:cuda: ${message}`)
  process.exit(1)
}

function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : ''
}

function cacheFolder() {
  const { GOOGLENET_CACHE, XDG_CACHE_HOME } = process.env
  return GOOGLENET_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'googlenet')
}

/** Folder of a CUDA 13 toolkit with nvcc and the static runtime. */
function systemToolkit() {
  const onPath = process.env.PATH.split(delimiter).find((folder) => existsSync(join(folder, 'nvcc')))
  const candidates = [process.env.CUDA_HOME, process.env.CUDA_PATH, onPath && dirname(onPath), '/usr/local/cuda']
  return candidates.filter(Boolean).find((folder) => {
    const version = /release (\d+)\./.exec(output(join(folder, 'bin', 'nvcc'), ['--version']))?.[1]
    return version === '13' && runtimeOf(folder)
  })
}

const runtimeOf = (toolkit) =>
  ['lib64', 'lib', 'targets/x86_64-linux/lib'].map((lib) => join(toolkit, lib, 'libcudart_static.a')).find(existsSync)

/** NVIDIA's wheels, unpacked once: {toolkit, cudnn}. */
export function wheels() {
  const folder = join(cacheFolder(), 'cuda-13.0')
  if (!existsSync(folder)) {
    const python = ['python3', 'python'].find((name) => output(name, ['-m', 'pip', '--version']))
    if (!python) stop('found neither CUDA 13 (set CUDA_HOME) nor Python with pip to get it with')
    console.log(`googlenet build:cuda: fetching ${WHEELS.join(', ')} to ${folder}`)
    const partial = `${folder}.${process.pid}`
    const install = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', partial, ...WHEELS]
    if (spawnSync(python, install, { stdio: 'inherit' }).status !== 0) {
      rmSync(partial, { recursive: true, force: true })
      stop('pip could not fetch the toolkit, see above')
    }
    renameSync(partial, folder)
  }
  return { toolkit: join(folder, 'nvidia', 'cu13'), cudnn: join(folder, 'nvidia', 'cudnn') }
}

function cudnnHeaders(toolkit) {
  const folders = [process.env.GOOGLENET_CUDNN && join(process.env.GOOGLENET_CUDNN, '..', 'include')]
  folders.push(join(toolkit, 'include'), '/usr/include', '/usr/include/x86_64-linux-gnu')
  return folders.filter(Boolean).find((folder) => existsSync(join(folder, 'cudnn_graph.h')))
}

function architectures(option) {
  if (option === 'all') return ALL
  if (option) return option.split(',')
  const found = output('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'])
  return found ? [...new Set(found.split('\n').map((line) => line.trim().replace('.', '')))] : ['90']
}

function newestHeader(folder = 'native') {
  return Math.max(
    ...readdirSync(join(root, folder), { withFileTypes: true }).map((entry) => {
      if (entry.isDirectory()) return newestHeader(join(folder, entry.name))
      return /\.(h|def)$/.test(entry.name) ? statSync(join(root, folder, entry.name)).mtimeMs : 0
    }),
  )
}

function run(command, args) {
  return new Promise((done) => {
    spawn(command, args, { cwd: root, stdio: 'inherit' })
      .on('close', done)
      .on('error', () => done(1))
  })
}

async function build(options) {
  const unknown = options.filter((option) => !/^(--force|--(arch|output)=.+)$/.test(option))
  const known = '--arch=90|75,80|all --output=FOLDER --force'
  if (unknown.length > 0) stop(`unknown option ${unknown.join(' ')}; known: ${known}`)
  const value = (name) => options.findLast((option) => option.startsWith(`--${name}=`))?.slice(`--${name}=`.length)
  const list = architectures(value('arch'))
  const wrong = list.filter((name) => !/^\d{2,3}[af]?$/.test(name))
  if (wrong.length > 0) stop(`--arch: expected compute capabilities such as 80,90, or all, got ${wrong.join(', ')}`)
  const target = resolve(root, value('output') ?? join('build', 'Release'))
  const toolkit = systemToolkit() ?? wheels().toolkit
  const headers = cudnnHeaders(toolkit) ?? join(wheels().cudnn, 'include')
  const compiler = process.env.CXX ?? 'c++'
  if (!output(compiler, ['--version'])) stop(`found no C++ compiler '${compiler}'; install g++ or set CXX`)
  const include = ['-Inative', '-isystem', join(toolkit, 'include'), '-isystem', headers]
  const common = ['-std=c++20', '-O3', ...include]
  const nvcc = [
    ...[...common, '--expt-relaxed-constexpr', '-ccbin', compiler],
    ...list.map((sm) => `-gencode=arch=compute_${sm},code=sm_${sm}`),
    `-gencode=arch=compute_${list.at(-1)},code=compute_${list.at(-1)}`,
    '-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra',
  ]
  const host = [...common, '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra', '-Werror']

  const folder = join('build', 'cuda')
  mkdirSync(join(root, folder), { recursive: true })
  mkdirSync(target, { recursive: true })
  const stamp = join(root, folder, 'flags.json')
  const flags = JSON.stringify([nvcc, host])
  const fresh = !existsSync(stamp) || readFileSync(stamp, 'utf8') !== flags || options.includes('--force')
  const header = newestHeader()
  const own = readdirSync(join(root, 'native', 'cuda')).filter((name) => /\.(cc|cu)$/.test(name))
  const sources = [...own.map((name) => join('native', 'cuda', name)), ...SHARED]
  const objectOf = (source) => join(folder, `${basename(source)}.o`)
  const objects = sources.map(objectOf)
  const stale = sources.filter((source) => {
    const object = join(root, objectOf(source))
    const time = existsSync(object) ? statSync(object).mtimeMs : 0
    return fresh || time < header || time < statSync(join(root, source)).mtimeMs
  })
  rmSync(stamp, { force: true })
  console.log(`googlenet build:cuda: ${stale.length} of ${sources.length} files for sm_${list.join(', sm_')}`)
  const queue = [...stale]
  const worker = async () => {
    for (let source = queue.pop(); source; source = queue.pop()) {
      const files = ['-c', source, '-o', objectOf(source)]
      const device = source.endsWith('.cu')
      const code = await run(device ? join(toolkit, 'bin', 'nvcc') : compiler, [...(device ? nvcc : host), ...files])
      if (code !== 0) stop(`${source} could not be compiled, see above`)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  const library = join(target, 'googlenet_cuda.so')
  // Everything but glibc is inside or opened at run time: a symbol that nobody defines must show here.
  const link = ['-shared', ...objects, runtimeOf(toolkit), '-ldl', '-lrt', '-lpthread', '-static-libstdc++']
  const strict = ['-static-libgcc', '-Wl,-z,defs', '-Wl,--version-script=native/cuda/exports.map', '-Wl,--gc-sections']
  if ((await run(compiler, [...link, ...strict, '-o', `${library}.new`])) !== 0) stop('linking failed, see above')
  renameSync(`${library}.new`, library)
  writeFileSync(stamp, flags)
  console.log(`googlenet build:cuda: ${library} done`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build(process.argv.slice(2))
