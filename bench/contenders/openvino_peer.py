"""OpenVINO on the CPU, with the hint given as argument: LATENCY or THROUGHPUT.

The precision is always stated: on processors with bf16 units OpenVINO's default is bf16, not the model's f32. In int8
what is not quantised (LRN, its pools) is in bf16 where the processor has it, which is faster than f32.
"""

import sys
import time

import numpy as np
import openvino as ov
from serve import THREADS, inputs, prepared, serve

HINT = sys.argv[1]


class OpenVino:
    def __init__(self):
        self.core = ov.Core()

    def prepare(self, work, batch, precision):
        model = self.core.read_model(prepared('int8-openvino/model.xml' if precision == 'int8' else 'network.onnx'))
        model.reshape({model.inputs[0].any_name: [batch, 3, 224, 224]})  # fixed shapes are faster
        can = self.core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        rest = precision if precision != 'int8' else 'bf16' if 'BF16' in can else 'f32'
        settings = {
            'INFERENCE_PRECISION_HINT': rest,
            'PERFORMANCE_HINT': HINT,
            'INFERENCE_NUM_THREADS': THREADS,
        }
        self.model = self.core.compile_model(model, 'CPU', settings)
        used = str(self.model.get_property('INFERENCE_PRECISION_HINT'))
        assert {'f32': 'float', 'bf16': 'bf'}[rest] in used, f'asked for {rest}, computes in {used}'
        self.data = inputs(batch, precision)
        self.request = self.model.create_infer_request()
        self.request.set_input_tensor(ov.Tensor(self.data))  # its own memory, aligned; no copy per run
        self.run()
        if HINT == 'THROUGHPUT':
            self.queue = ov.AsyncInferQueue(self.model, self.model.get_property('OPTIMAL_NUMBER_OF_INFER_REQUESTS'))
        return np.array(self.request.get_output_tensor().data)

    def run(self):
        self.request.infer()

    def predict(self, images):
        return self.model(images)[0]

    if HINT == 'THROUGHPUT':

        def slice(self, seconds):
            """Several batches are in flight: only their mean time is known."""
            self.queue.start_async({0: self.data})
            self.queue.wait_all()
            count = 0
            start = time.perf_counter()
            while count < 2 * len(self.queue) or time.perf_counter() - start < seconds:
                self.queue.start_async({0: self.data})
                count += 1
            self.queue.wait_all()
            return [(time.perf_counter() - start) * 1e3 / count]


serve(OpenVino())
