"""ONNX Runtime's CPU provider from Python (newer than the one npm has)."""

import onnxruntime
from serve import THREADS, inputs, prepared, serve


class OnnxRuntime:
    def prepare(self, work, batch, precision):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        path = prepared({'f32': 'network.onnx', 'int8': 'int8-onnxruntime/model.onnx'}[precision])
        self.session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        self.data = inputs(batch, precision)
        return self.run()

    def run(self):
        return self.predict(self.data)

    def predict(self, images):
        return self.session.run(None, {'data': images})[0]


serve(OnnxRuntime())
