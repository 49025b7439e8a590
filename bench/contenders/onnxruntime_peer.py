"""ONNX Runtime's CPU provider from Python (newer than the one npm has)."""

import onnxruntime
from serve import THREADS, images, prepared, serve


class OnnxRuntime:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            prepared('network.onnx'), options, providers=['CPUExecutionProvider']
        )

    def prepare(self, work, batch, precision):
        self.feeds = {'data': images('images.f32', batch)}
        return self.run()

    def run(self):
        return self.session.run(None, self.feeds)[0]


serve(OnnxRuntime())
