"""The network table as a PyTorch module, row by row; shared by torch_peer.py and torch_gpu_peer.py."""

import torch
import torch.nn.functional as F
from serve import last_uses, network, weights


def lrn(x, row):
    """As shifted adds: PyTorch's own goes through a 3-D average pooling."""
    half, count = row['size'] // 2, x.shape[1]
    square = F.pad(x * x, (0, 0, 0, 0, half, half))
    total = square[:, :count]
    for shift in range(1, row['size']):
        total = total + square[:, shift : shift + count]
    assert row['beta'] == 0.75
    root = torch.rsqrt(row.get('k', 1) + total * (row['alpha'] / row['size']))
    return x * (root * torch.sqrt(root))


class Network(torch.nn.Module):
    def __init__(self, training: bool, dropout: bool, memory_format: torch.memory_format):
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
                tensor = tensor.contiguous(memory_format=memory_format) if tensor.dim() == 4 else tensor
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


def optimizer_of(net: Network, rate: float) -> torch.optim.Optimizer:
    """Caffe's factors: weights decay, biases learn at twice the rate."""
    matrices = [p for p in net.parameters() if p.dim() > 1]
    biases = [p for p in net.parameters() if p.dim() == 1]
    groups = [{'params': matrices, 'weight_decay': 2e-4}, {'params': biases, 'lr': 2 * rate}]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, fused=True)
