"""Makes PyTorch's int8 model, for any batch: PT2E with the quantiser for x86 and inductor."""

import torch
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
from serve import THREADS, calibration, made
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
    # Inductor's pooling of bytes forgets ceil_mode: planes one smaller each time, wrong results without an error.
    quantiser.set_function_type_qconfig(torch.nn.functional.max_pool2d, None)
    observed = prepare_pt2e(exported, quantiser)
    for part in photos.split(BATCH):
        observed(part)
    quantised = convert_pt2e(observed)
    torch.export.save(torch.export.export(quantised, example, dynamic_shapes=shapes), made('model.pt2'))
