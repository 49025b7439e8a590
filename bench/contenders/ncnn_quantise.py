"""Makes ncnn's int8 model from its f32 files: scales of the largest magnitudes, activations' as ONNX Runtime computes
them, weights' by output channel. Between two convolutions without anything else values stay int8 (term 100 and up).
"""

import numpy as np
import onnx
import onnxruntime
from serve import calibration, made, network, prepared

WEIGHTED = ('Convolution', 'InnerProduct')
INT8 = 2


def largest_values() -> dict[str, float]:
    """By blob, over the calibration photos."""
    model = onnx.load(prepared('network.onnx'))
    names = {row['name'] for row in network()} & {node.output[0] for node in model.graph.node}
    del model.graph.output[:]
    for name in sorted(names):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    outputs = [output.name for output in session.get_outputs()]
    photos = calibration()
    largest = dict.fromkeys(outputs, 0.0) | {'data': float(np.abs(photos).max())}
    for photo in photos:
        for name, value in zip(outputs, session.run(outputs, {'data': photo[None]})):
            largest[name] = max(largest[name], float(np.abs(value).max()))
    return largest


class Layer:
    """A line of the .param file: type, name, counts, sources, destinations, parameters."""

    def __init__(self, line: str):
        self.type, self.name, sources, destinations, *rest = line.split()
        self.sources = rest[: int(sources)]
        self.destinations = rest[int(sources) : int(sources) + int(destinations)]
        self.options = dict(part.split('=') for part in rest[int(sources) + int(destinations) :])


with open(prepared('network.param')) as file:
    head, counts, *lines = file.read().splitlines()
layers = [Layer(line) for line in lines]
readers = {source: layer.type for layer in layers for source in layer.sources}
scales = {name: 127 / value for name, value in largest_values().items() if value > 0}

with open(prepared('network.bin'), 'rb') as source, open(made('model.bin'), 'wb') as target:
    for index, layer in enumerate(layers):
        if layer.type not in WEIGHTED:
            continue
        convolution = layer.type == 'Convolution'
        outputs, size = int(layer.options['0']), int(layer.options['6' if convolution else '2'])
        target.write(source.read(4))
        weights = np.frombuffer(source.read(4 * size), '<f4')
        target.write(weights.tobytes() + source.read(4 * outputs))
        largest = np.abs(weights.reshape(outputs, -1)).max(1)
        target.write((127 / np.maximum(largest, 1e-9)).astype('<f4').tobytes())
        blob = layer.sources[0].split('#')[0]  # copies of a blob with several readers are NAME#0, NAME#1
        target.write(np.float32(scales[blob]).tobytes())
        stays = convolution and readers.get(layer.name) == 'Convolution'
        if stays:
            target.write(np.float32(scales[layer.name]).tobytes())
        lines[index] += f' 8={INT8 + 100 * stays}'

with open(made('model.param'), 'w') as file:
    file.write('\n'.join([head, counts, *lines]) + '\n')
