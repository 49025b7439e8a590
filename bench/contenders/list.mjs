/**
 * Every contender: ours and the peers, what each needs and what it can do. A new one is a row here and a program
 * beside this file that answers the commands of serve.mjs or serve.py. `usual` rows run without being named;
 * the others with `--peers all` or `--peers NAME,NAME`.
 */
export const contenders = [
  { name: 'googlenet', ours: true, does: ['inference', 'training'], script: 'googlenet.mjs' },
  // The latency hint spreads one batch over all threads; the throughput hint runs one batch per thread.
  { name: 'openvino', usual: true, does: ['inference'], script: 'openvino_peer.py', args: ['LATENCY'] },
  { name: 'openvino-throughput', usual: true, does: ['inference'], script: 'openvino_peer.py', args: ['THROUGHPUT'] },
  { name: 'onnxruntime-node', usual: true, does: ['inference'], script: 'onnxruntime_node.mjs' },
  { name: 'ncnn', usual: true, does: ['inference'], script: 'ncnn_peer.py' },
  { name: 'torch', usual: true, does: ['inference', 'training'], script: 'torch_peer.py', args: ['channels_last'] },
  {
    name: 'torch-compile',
    usual: true,
    does: ['inference'],
    script: 'torch_peer.py',
    args: ['channels_last', 'compile'],
  },
  { name: 'torch-contiguous', usual: true, does: ['training'], script: 'torch_peer.py', args: ['contiguous'] },
  { name: 'tensorflow', does: ['inference', 'training'], script: 'tensorflow_peer.py' },
  { name: 'googlenet-loader', ours: true, does: ['decoding'], script: 'loader.mjs' },
  { name: 'simplejpeg+opencv', usual: true, does: ['decoding'], script: 'opencv_loader.py' },
  { name: 'torchvision', usual: true, does: ['decoding'], script: 'torchvision_loader.py' },
  { name: 'onnxruntime-python', does: ['inference'], script: 'onnxruntime_peer.py' },
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
