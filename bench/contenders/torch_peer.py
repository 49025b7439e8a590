"""PyTorch, tuned. Arguments: channels_last or contiguous; compile.

The tuning, each worth a factor on a CPU: memory kept by malloc (environment, see list.mjs), LRN as shifted adds
(its own goes through a 3-D average pooling), ReLU in place, fused SGD, denormals flushed.
"""

import sys

import numpy as np
import torch
from serve import THREADS, images, labels, serve
from torch_network import Network, optimizer_of

CHANNELS_LAST = 'channels_last' in sys.argv
COMPILE = 'compile' in sys.argv
FORMAT = torch.channels_last if CHANNELS_LAST else torch.contiguous_format
RATE = 1e-3

torch.set_num_threads(THREADS)
torch.set_flush_denormal(True)


class Torch:
    def prepare(self, work, batch, precision):
        assert precision == 'f32'
        if work == 'training':
            self.train(batch, dropout=True)
            return None
        net = Network(training=False, dropout=False, memory_format=FORMAT).eval()
        x = torch.from_numpy(images('images.f32', batch)).contiguous(memory_format=FORMAT)
        if COMPILE:
            import torch._inductor.config as inductor

            inductor.freezing = True
            torch._dynamo.reset()
            net = torch.compile(net, dynamic=False)

        def run():
            # no_grad, not inference_mode: inductor's freezing asks for it.
            with torch.no_grad():
                return torch.softmax(net(x), 1)

        self.run = run
        run()
        return run().numpy()

    def train(self, batch, dropout):
        net = Network(training=True, dropout=dropout, memory_format=FORMAT).train()
        optimizer = optimizer_of(net, RATE)
        x = torch.from_numpy(images('centred.f32', batch)).contiguous(memory_format=FORMAT)
        target = torch.from_numpy(labels(batch).astype(np.int64))

        def run():
            optimizer.zero_grad(set_to_none=True)
            loss = net(x, target)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        self.run = run

    def losses(self, batch, steps, precision):
        assert precision == 'f32'
        self.train(batch, dropout=False)
        return [self.run() for _ in range(steps)]


serve(Torch())
