/**
 * Every contender: ours and the peers, what each needs and what it can do, in which precisions. A new one is a row here
 * and a program beside this file that answers the commands of serve.mjs or serve.py. `usual` rows run without being
 * named; the others with `--peers all` or `--peers NAME,NAME`. int8 is a model that the contender's `quantiser` makes
 * once, from the same weights, with the same photos to calibrate on (lib/quantise.mjs).
 */
const all = ['f32', 'bf16', 'int8']
const float = ['f32', 'bf16']
const googlenet = { ours: true, script: 'googlenet.mjs', quantiser: 'googlenet_quantise.mjs' }
const openvino = {
  usual: true,
  does: { inference: all },
  script: 'openvino_peer.py',
  quantiser: 'openvino_quantise.py',
}
const onnxruntime = { does: { inference: ['f32', 'int8'] }, quantiser: 'onnxruntime_quantise.py' }
const torch = { usual: true, script: 'torch_peer.py', quantiser: 'torch_quantise.py' }

export const contenders = [
  // As OpenVINO's hints below: one batch over all threads, and one batch per thread.
  { ...googlenet, name: 'googlenet', does: { inference: all, training: float } },
  { ...googlenet, name: 'googlenet-throughput', does: { inference: all }, args: ['THROUGHPUT'] },
  // The latency hint spreads one batch over all threads; the throughput hint runs one batch per thread.
  { ...openvino, name: 'openvino', args: ['LATENCY'] },
  { ...openvino, name: 'openvino-throughput', args: ['THROUGHPUT'] },
  { ...onnxruntime, name: 'onnxruntime-node', usual: true, script: 'onnxruntime_node.mjs' },
  {
    name: 'ncnn',
    usual: true,
    does: { inference: all },
    script: 'ncnn_peer.py',
    quantiser: 'ncnn_quantise.py',
  },
  { ...torch, name: 'torch', does: { inference: float, training: float }, args: ['channels_last'] },
  { ...torch, name: 'torch-compile', does: { inference: all }, args: ['channels_last', 'compile'] },
  { ...torch, name: 'torch-contiguous', does: { training: ['f32'] }, args: ['contiguous'] },
  { name: 'tensorflow', does: { inference: float, training: float }, script: 'tensorflow_peer.py' },
  { name: 'googlenet-loader', ours: true, does: { decoding: ['f32'] }, script: 'loader.mjs' },
  { name: 'simplejpeg+opencv', usual: true, does: { decoding: ['f32'] }, script: 'opencv_loader.py' },
  { name: 'torchvision', usual: true, does: { decoding: ['f32'] }, script: 'torchvision_loader.py' },
  { ...onnxruntime, name: 'onnxruntime-python', script: 'onnxruntime_peer.py' },
]

/** Package whose presence says that a contender is installed, and the folder of .peers it is in. */
export const packageOf = {
  'openvino_peer.py': { environment: 'venv', module: 'openvino' },
  'onnxruntime_node.mjs': { environment: 'node_modules', module: 'onnxruntime-node' },
  'ncnn_peer.py': { environment: 'venv', module: 'ncnn' },
  'torch_peer.py': { environment: 'venv', module: 'torch' },
  'opencv_loader.py': { environment: 'venv', module: 'simplejpeg' },
  'torchvision_loader.py': { environment: 'venv', module: 'torchvision' },
  'tensorflow_peer.py': { environment: 'venv-tensorflow', module: 'tensorflow' },
  'onnxruntime_peer.py': { environment: 'venv', module: 'onnxruntime' },
}

/**
 * What a tuned peer's process gets. malloc that keeps its memory makes PyTorch's training several times faster
 * where fresh pages are expensive. OMP_WAIT_POLICY=passive is not set: it made ncnn a third slower.
 */
export function environmentOf(contender, threads) {
  const common = { OMP_NUM_THREADS: String(threads) }
  if (!contender.script.startsWith('torch')) return { ...common, TF_CPP_MIN_LOG_LEVEL: '3' }
  return { ...common, MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: '10000000000' }
}
