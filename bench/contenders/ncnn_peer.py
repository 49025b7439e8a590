"""ncnn with its Winograd kernels. It knows no batches: one image at a time on all threads, or, for a batch, one
image per thread, which is faster and steadier.
"""

from concurrent.futures import ThreadPoolExecutor

import ncnn
import numpy as np
from serve import THREADS, inputs, prepared, serve


def load(threads: int, precision: str) -> ncnn.Net:
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = precision == 'bf16'
    net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
    name = 'int8-ncnn/model' if precision == 'int8' else 'network'
    assert net.load_param(prepared(f'{name}.param')) == 0
    assert net.load_model(prepared(f'{name}.bin')) == 0
    return net


def infer(net: ncnn.Net, image: np.ndarray) -> np.ndarray:
    extractor = net.create_extractor()
    extractor.input('data', ncnn.Mat(image))
    status, output = extractor.extract('prob')
    assert status == 0
    return np.array(output)


class Ncnn:
    def prepare(self, work, batch, precision):
        self.data = inputs(batch, precision)
        workers = THREADS if batch >= THREADS else 1
        self.nets = [load(THREADS // workers, precision) for _ in range(workers)]
        self.pool = ThreadPoolExecutor(workers)
        return self.run()

    def part(self, worker):
        step = len(self.nets)
        return [infer(self.nets[worker], image) for image in self.data[worker::step]]

    def run(self):
        output = np.empty((len(self.data), 1000), np.float32)
        for worker, rows in enumerate(self.pool.map(self.part, range(len(self.nets)))):
            output[worker :: len(self.nets)] = rows
        return output

    def predict(self, images):
        self.data = images
        return self.run()


serve(Ncnn())
