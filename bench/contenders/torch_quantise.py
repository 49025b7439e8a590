"""Makes PyTorch's int8 model (PT2E, the quantiser for x86 and inductor), for any batch: int8-torch.pt2."""

import torch
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
from serve import THREADS, calibration, prepared
from torch_network import Network
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

BATCH = 10

torch.set_num_threads(THREADS)
net = Network(training=False, dropout=False, memory_format=torch.channels_last).eval()
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
    torch.export.save(torch.export.export(quantised, example, dynamic_shapes=shapes), prepared('int8-torch.pt2'))
