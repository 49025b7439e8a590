"""PyTorch on a GPU, channels_last. Arguments: compile; graphs (the whole step captured, or what the compiler captures).

Every run begins with a batch in pinned host memory and ends with the loss or the probabilities on the host, as ours
does. bf16 is autocast over f32 weights; f32 keeps TF32 off, tf32 lets it in. BENCH_DEVICE=cpu checks this program where
there is no GPU.
"""

import os
import sys

import numpy as np
import torch
from serve import images, labels, serve
from torch_network import Network, optimizer_of

COMPILE, GRAPHS = 'compile' in sys.argv, 'graphs' in sys.argv
DEVICE = os.environ.get('BENCH_DEVICE', 'cuda')
GPU = DEVICE.startswith('cuda')
RATE = 1e-3
WARM = 3  # runs before a capture, as PyTorch's documentation asks for

torch.backends.cudnn.benchmark = True


def compiled(net):
    if not COMPILE:
        return net
    torch._dynamo.reset()
    return torch.compile(net, dynamic=False, mode='reduce-overhead' if GRAPHS else 'default')


def captured(step):
    """The step as one CUDA graph; its result is a tensor that each replay fills."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay():
        graph.replay()
        return result

    return replay


class TorchGpu:
    def choose(self, precision):
        assert precision in ('f32', 'tf32', 'bf16')
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == 'tf32'
        self.autocast = lambda: torch.autocast(DEVICE.split(':')[0], torch.bfloat16, enabled=precision == 'bf16')

    def feed(self, name, batch):
        """A batch on the host, and the device's tensor that every run copies it to."""
        host = torch.from_numpy(images(name, batch)).contiguous(memory_format=torch.channels_last)
        host = host.pin_memory() if GPU else host
        return host, torch.empty_like(host, device=DEVICE, memory_format=torch.channels_last)

    def prepare(self, work, batch, precision):
        self.choose(precision)
        if work == 'training':
            self.train(batch, dropout=True)
            return None
        net = compiled(Network(training=False, dropout=False, memory_format=torch.channels_last).to(DEVICE).eval())
        host, x = self.feed('images.f32', batch)

        def infer():
            with torch.no_grad(), self.autocast():
                return torch.softmax(net(x).float(), 1)

        x.copy_(host)
        step = captured(infer) if GRAPHS and not COMPILE else infer

        def run():
            x.copy_(host, non_blocking=True)
            return step().cpu()

        self.run = run
        run()
        return run().numpy()

    def train(self, batch, dropout):
        net = Network(training=True, dropout=dropout, memory_format=torch.channels_last).to(DEVICE).train()
        optimizer = optimizer_of(net, RATE)
        forward = compiled(net)
        host, x = self.feed('centred.f32', batch)
        target = torch.from_numpy(labels(batch).astype(np.int64)).to(DEVICE)
        start = {name: value.detach().clone() for name, value in net.state_dict().items()}

        def step():
            optimizer.zero_grad(set_to_none=True)
            with self.autocast():
                loss = forward(x, target)
            loss.backward()
            optimizer.step()
            return loss.detach()

        x.copy_(host)
        if GRAPHS and not COMPILE:
            step = captured(step)
            # What the capture's warming has trained is undone, in place: the graph holds these addresses.
            with torch.no_grad():
                for name, value in net.state_dict().items():
                    value.copy_(start[name])
                for state in optimizer.state.values():
                    state['momentum_buffer'].zero_()

        def run():
            x.copy_(host, non_blocking=True)
            return float(step())

        self.run = run

    def losses(self, batch, steps, precision):
        self.choose(precision)
        self.train(batch, dropout=False)
        return [self.run() for _ in range(steps)]


serve(TorchGpu())
