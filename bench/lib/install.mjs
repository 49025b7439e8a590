/**
 * Installs the peers into bench/.peers: Python environments and a node_modules, from the usual registries, on
 * demand only (`node bench/run.mjs --install`). Versions are pinned: a table says what it was measured against.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageOf } from '../contenders/list.mjs'
import { makeFolders, peersFolder } from './paths.mjs'

const versions = {
  openvino: '2026.4.1',
  nncf: '3.4.0',
  onnx: '1.23.2',
  ncnn: '1.0.20261020',
  onnxruntime: '1.32.0',
  torch: '2.15.0',
  torchao: '0.18.0',
  'tensorflow-cpu': '2.21.0',
  'onnxruntime-node': '1.30.0',
  simplejpeg: '1.9.0',
  'opencv-python-headless': '5.0.0.93',
  torchvision: '0.29.2',
}

/** Folder of an installed module, or undefined. */
function moduleFolder({ environment, module }) {
  const base = join(peersFolder, environment)
  if (environment === 'node_modules') return existsSync(join(base, module)) ? join(base, module) : undefined
  const lib = join(base, 'lib')
  const python = existsSync(lib) ? readdirSync(lib).find((name) => name.startsWith('python')) : undefined
  const folder = python && join(lib, python, 'site-packages', module)
  return folder && existsSync(folder) ? folder : undefined
}

export function isInstalled(contender) {
  if (contender.problem) return false
  return (
    contender.python !== undefined || contender.ours === true || moduleFolder(packageOf[contender.script]) !== undefined
  )
}

/** Version of the package that a contender runs on, as its folder says. */
export function versionOf(contender) {
  if (contender.ours || contender.problem) return undefined
  if (contender.version) return contender.version
  const { environment, module } = packageOf[contender.script]
  const folder = moduleFolder({ environment, module })
  if (!folder) return undefined
  if (environment === 'node_modules') return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version
  const info = readdirSync(join(folder, '..')).find((name) =>
    new RegExp(`^${module}(_cpu)?-.*\\.dist-info$`).test(name),
  )
  return info?.match(/-([^-]+)\.dist-info$/)?.[1]
}

export function pythonOf(environment) {
  return join(peersFolder, environment, 'bin', 'python')
}

function run(command, args, options = {}) {
  console.error(`$ ${command} ${args.join(' ')}`)
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2], ...options })
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? `exit code ${status}`}`)
}

function pip(environment, args) {
  const python = pythonOf(environment)
  if (!existsSync(python)) run(process.env.PYTHON ?? 'python3', ['-m', 'venv', join(peersFolder, environment)])
  run(python, ['-m', 'pip', 'install', '--no-cache-dir', '--quiet', ...args])
}

const pinned = (...names) => names.map((name) => `${name}==${versions[name]}`)

/**
 * PyPI's only Linux wheel of PyTorch is linked against the CUDA libraries: without them it cannot be imported. They
 * are 3 GB that nothing here calls. What can be left out is Triton (1 GB), which only GPUs need.
 */
function installTorch() {
  pip('venv', ['--no-deps', ...pinned('torch')])
  const code = `import importlib.metadata as m
print('\\n'.join(r.split(';')[0] for r in m.requires('torch') if 'extra ==' not in r and not r.startswith('triton')))`
  const { stdout } = spawnSync(pythonOf('venv'), ['-c', code], { encoding: 'utf8' })
  const list = join(peersFolder, 'torch-needs.txt')
  writeFileSync(list, stdout)
  pip('venv', ['-r', list])
  rmSync(list)
}

const steps = [
  {
    // The install script only fetches GPU libraries from outside the registry.
    what: 'onnxruntime-node (0.3 GB)',
    run: () => {
      const args = ['install', '--prefix', peersFolder, '--ignore-scripts', '--no-audit', '--no-fund']
      run('npm', [...args, `onnxruntime-node@${versions['onnxruntime-node']}`])
    },
  },
  {
    what: 'OpenVINO, ncnn, ONNX Runtime for Python (0.4 GB)',
    run: () => pip('venv', ['numpy', ...pinned('openvino', 'ncnn', 'onnxruntime')]),
  },
  {
    what: 'NNCF and onnx, which make int8 models for them (0.2 GB)',
    run: () => pip('venv', pinned('openvino', 'onnxruntime', 'nncf', 'onnx')),
  },
  {
    what: 'simplejpeg and OpenCV (0.2 GB)',
    run: () => pip('venv', pinned('simplejpeg', 'opencv-python-headless')),
  },
  { what: 'PyTorch (4.4 GB)', run: installTorch },
  // Without their dependencies: pip would take a PyTorch of its own choice.
  { what: 'torchvision', run: () => pip('venv', ['--no-deps', 'pillow', ...pinned('torchvision')]) },
  { what: "torchao, for PyTorch's int8", run: () => pip('venv', ['--no-deps', ...pinned('torchao')]) },
  {
    what: 'TensorFlow (1.6 GB)',
    extra: true,
    run: () => pip('venv-tensorflow', pinned('tensorflow-cpu')),
  },
]

/** All of them are tried, whatever fails. Returns whether everything went well. */
export function install({ all }) {
  makeFolders()
  const { bavail, bsize } = statfsSync(peersFolder)
  const free = (bavail * bsize) / 1e9
  const needed = all ? 9 : 7
  if (free < needed) {
    console.error(`${needed} GB are needed below bench/.peers, ${free.toFixed(1)} GB are free`)
    return false
  }
  let ok = true
  for (const step of steps.filter(({ extra }) => all || !extra)) {
    console.error(`Installing ${step.what}`)
    try {
      step.run()
    } catch (error) {
      console.error(`  not installed: ${error.message}`)
      ok = false
    }
  }
  return ok
}
