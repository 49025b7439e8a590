"""Makes PyTorch's int8 model, for any batch: PT2E with the quantiser for x86 and inductor.

The quantiser finds convolutions and linear layers by their modules. Inductor's pooling of bytes forgets ceil_mode (its
planes are one smaller each time, without an error): zeros are appended instead, since nothing here is below 0.
"""

import torch
import torch.nn.functional as F
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
from serve import THREADS, calibration, made
from torch_network import Network
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

BATCH = 10


class Modules(Network):
    def __init__(self):
        super().__init__(training=False, dropout=False, memory_format=torch.channels_last)
        self.layers = torch.nn.ModuleDict()
        for row in self.rows:
            if row['op'] in ('conv', 'linear'):
                weight, bias = self.tensors[row['name'] + '@weight'], self.tensors[row['name'] + '@bias']
                outputs, inputs, *kernel = weight.shape
                if kernel:
                    layer = torch.nn.Conv2d(inputs, outputs, kernel, row.get('stride', 1), row.get('pad', 0))
                else:
                    layer = torch.nn.Linear(inputs, outputs)
                layer.weight, layer.bias = weight, bias
                self.layers[row['name']] = layer

    def apply_row(self, row, src):
        if row['op'] in ('conv', 'linear'):
            y = self.layers[row['name']](src if row['op'] == 'conv' else src.flatten(1))
            return F.relu(y) if row.get('relu') else y
        if row['op'] == 'pool' and row['kind'] == 'max' and row.get('stride', 1) > 1:
            return F.max_pool2d(F.pad(src, (0, 1, 0, 1)), row['kernel'], row['stride'])
        return super().apply_row(row, src)


torch.set_num_threads(THREADS)
net = Modules().eval()
photos = torch.from_numpy(calibration()).contiguous(memory_format=torch.channels_last)
shapes = {'x': {0: torch.export.Dim('batch', min=1, max=256)}}
example = (photos[:BATCH].clone(memory_format=torch.preserve_format),)  # the file keeps it, with all of its storage
with torch.no_grad():
    exported = torch.export.export(net, example, dynamic_shapes=shapes).module()
    quantiser = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    observed = prepare_pt2e(exported, quantiser)
    for part in photos.split(BATCH):
        observed(part)
    quantised = convert_pt2e(observed)
    torch.export.save(torch.export.export(quantised, example, dynamic_shapes=shapes), made('model.pt2'))
