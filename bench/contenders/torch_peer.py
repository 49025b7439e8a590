"""PyTorch, tuned. Arguments: channels_last or contiguous; compile.

The tuning, each worth a factor on a CPU: memory kept by malloc (environment, see list.mjs), LRN as shifted adds
(its own goes through a 3-D average pooling), ReLU in place, fused SGD, denormals flushed. bf16 is autocast over f32
weights; int8 is the model of torch_quantise.py, compiled.
"""

import contextlib
import sys

import numpy as np
import torch
from serve import THREADS, images, inputs, labels, prepared, serve
from torch_network import Network, optimizer_of

CHANNELS_LAST = 'channels_last' in sys.argv
COMPILE = 'compile' in sys.argv
FORMAT = torch.channels_last if CHANNELS_LAST else torch.contiguous_format
RATE = 1e-3

torch.set_num_threads(THREADS)
torch.set_flush_denormal(True)


def casting(precision):
    """Around everything that computes in this precision."""
    return torch.autocast('cpu', torch.bfloat16) if precision == 'bf16' else contextlib.nullcontext()


def load(precision):
    if precision != 'int8':
        return Network(training=False, dropout=False, memory_format=FORMAT).eval()
    assert COMPILE, 'int8 is fast only when it is compiled'
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer  # noqa: F401  (inductor's int8 convolutions)

    return torch.export.load(prepared('int8-torch/model.pt2')).module()


class Torch:
    def prepare(self, work, batch, precision):
        if work == 'training':
            self.train(batch, precision, dropout=True)
            return None
        self.precision = precision
        self.net = load(precision)
        if COMPILE:
            import torch._inductor.config as inductor

            inductor.freezing = True
            torch._dynamo.reset()
            self.net = torch.compile(self.net, dynamic=False)
        self.data = self.feed(inputs(batch, precision))
        self.run()
        return self.run().numpy()

    def feed(self, data):
        return torch.from_numpy(data).contiguous(memory_format=FORMAT)

    def run(self):
        # no_grad, not inference_mode: inductor's freezing asks for it.
        with torch.no_grad(), casting(self.precision):
            return torch.softmax(self.net(self.data).float(), 1)

    def predict(self, data):
        self.data = self.feed(data)
        return self.run().numpy()

    def train(self, batch, precision, dropout):
        net = Network(training=True, dropout=dropout, memory_format=FORMAT).train()
        optimizer = optimizer_of(net, RATE)
        x = self.feed(images('centred.f32', batch))
        target = torch.from_numpy(labels(batch).astype(np.int64))

        def run():
            optimizer.zero_grad(set_to_none=True)
            with casting(precision):
                loss = net(x, target)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        self.run = run

    def losses(self, batch, steps, precision):
        self.train(batch, precision, dropout=False)
        return [self.run() for _ in range(steps)]


serve(Torch())
