/** Contenders on a GPU: ours, and PyTorch in the ways its users run it; see torch_gpu_peer.py. */
import { spawnSync } from 'node:child_process'
import { pythonOf } from '../lib/install.mjs'

const precisions = ['f32', 'tf32', 'bf16']
const does = { inference: precisions, training: precisions }
const torch = { script: 'torch_gpu_peer.py', does }
export const gpuContenders = [
  { name: 'googlenet', ours: true, script: 'googlenet.mjs', does },
  { ...torch, name: 'torch' },
  { ...torch, name: 'torch-compile', args: ['compile'] },
  { ...torch, name: 'torch-graphs', args: ['graphs'] },
  { ...torch, name: 'torch-compile-graphs', args: ['compile', 'graphs'] },
]

const CHECK = `import torch
assert torch.cuda.is_available(), f'PyTorch {torch.__version__} sees no GPU'
print(torch.__version__)`

/** The first Python whose PyTorch sees a GPU: PYTHON, the one that bench/run.mjs --install made, the machine's. */
export function findTorch() {
  const reasons = []
  for (const python of [process.env.PYTHON, pythonOf('venv'), 'python3'].filter(Boolean)) {
    const { status, stdout, stderr, error } = spawnSync(python, ['-c', CHECK], { encoding: 'utf8' })
    if (status === 0) return { python, version: stdout.trim() }
    if (!error) reasons.push(`${python}: ${stderr.trim().split('\n').at(-1)}`)
  }
  return { problem: `no PyTorch for GPUs (set PYTHON): ${reasons.join('; ') || 'no Python'}` }
}
