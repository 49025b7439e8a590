"""PyTorch, tuned. Arguments: channels_last or contiguous; compile.

The tuning, each worth a factor on a CPU: memory kept by malloc (environment, see list.mjs), LRN as shifted adds
(its own goes through a 3-D average pooling), ReLU in place, fused SGD, denormals flushed.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from serve import THREADS, images, labels, last_uses, network, serve, weights

CHANNELS_LAST = 'channels_last' in sys.argv
COMPILE = 'compile' in sys.argv
FORMAT = torch.channels_last if CHANNELS_LAST else torch.contiguous_format
RATE = 1e-3

torch.set_num_threads(THREADS)
torch.set_flush_denormal(True)


def lrn(x, row):
    half, count = row['size'] // 2, x.shape[1]
    square = F.pad(x * x, (0, 0, 0, 0, half, half))
    total = square[:, :count]
    for shift in range(1, row['size']):
        total = total + square[:, shift : shift + count]
    assert row['beta'] == 0.75
    root = torch.rsqrt(row.get('k', 1) + total * (row['alpha'] / row['size']))
    return x * (root * torch.sqrt(root))


class Network(torch.nn.Module):
    """The network table, row by row."""

    def __init__(self, training: bool, dropout: bool):
        super().__init__()
        other = 'inference' if training else 'train'
        self.rows = [row for row in network() if row.get('phase') != other and row['op'] != 'softmax']
        self.freed = last_uses(self.rows)
        self.dropout = dropout
        needed = {row['name'] for row in self.rows}
        self.tensors = torch.nn.ParameterDict()
        for name, value in weights().items():
            if name.rsplit('.', 1)[0] in needed:
                tensor = torch.from_numpy(value)
                tensor = tensor.contiguous(memory_format=FORMAT) if tensor.dim() == 4 else tensor
                self.tensors[name.replace('.', '@')] = torch.nn.Parameter(tensor, requires_grad=training)

    def apply_row(self, row, src):
        op = row['op']
        if op in ('conv', 'linear'):
            weight, bias = self.tensors[row['name'] + '@weight'], self.tensors[row['name'] + '@bias']
            if op == 'conv':
                y = F.conv2d(src, weight, bias, row.get('stride', 1), row.get('pad', 0))
            else:
                y = F.linear(src.flatten(1), weight, bias)
            return F.relu_(y) if row.get('relu') else y
        if op == 'pool':
            kernel, stride, pad = row['kernel'], row.get('stride', 1), row.get('pad', 0)
            if row['kind'] == 'max':
                return F.max_pool2d(src, kernel, stride, pad, ceil_mode=stride > 1)
            return F.adaptive_avg_pool2d(src, 1) if kernel == 'global' else F.avg_pool2d(src, kernel, stride)
        if op == 'lrn':
            return lrn(src, row)
        if op == 'concat':
            return torch.cat(src, 1)
        if op == 'dropout':
            return F.dropout(src, row['ratio'], self.training and self.dropout)
        raise ValueError(op)

    def forward(self, x, target=None):
        """Logits; the weighted loss when there is a target."""
        blobs, loss = {'data': x}, 0.0
        for row, freed in zip(self.rows, self.freed):
            if row['op'] == 'input':
                continue
            names = row['src']
            src = blobs[names] if isinstance(names, str) else [blobs[name] for name in names]
            if row['op'] == 'loss':
                loss = loss + row['weight'] * F.cross_entropy(src, target)
            else:
                x = blobs[row['name']] = self.apply_row(row, src)
            del src
            for name in freed:
                del blobs[name]
        return x if target is None else loss


class Torch:
    def prepare(self, work, batch, precision):
        assert precision == 'f32'
        if work == 'training':
            self.train(batch, dropout=True)
            return None
        net = Network(training=False, dropout=False).eval()
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
        net = Network(training=True, dropout=dropout).train()
        matrices = [p for p in net.parameters() if p.dim() > 1]
        biases = [p for p in net.parameters() if p.dim() == 1]
        groups = [{'params': matrices, 'weight_decay': 2e-4}, {'params': biases, 'lr': 2 * RATE}]
        optimizer = torch.optim.SGD(groups, lr=RATE, momentum=0.9, fused=True)
        x = torch.from_numpy(images('centred.f32', batch)).contiguous(memory_format=FORMAT)
        target = torch.from_numpy(labels(batch).astype(np.int64))

        def run():
            optimizer.zero_grad(set_to_none=True)
            loss = net(x, target)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        self.run = run

    def losses(self, batch, steps):
        self.train(batch, dropout=False)
        return [self.run() for _ in range(steps)]


serve(Torch())
