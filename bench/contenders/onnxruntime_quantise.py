"""Makes ONNX Runtime's int8 model: QDQ, u8 activations by their smallest and largest values, s8 weights by channel."""

import os

from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from serve import calibration, made, prepared


class Photos(CalibrationDataReader):
    def __init__(self):
        self.photos = iter(calibration())

    def get_next(self):
        photo = next(self.photos, None)
        return None if photo is None else {'data': photo[None]}


folded = made('folded.onnx')
quant_pre_process(prepared('network.onnx'), folded)
quantize_static(
    folded,
    made('model.onnx'),
    Photos(),
    quant_format=QuantFormat.QDQ,
    per_channel=True,
    activation_type=QuantType.QUInt8,
    weight_type=QuantType.QInt8,
    calibrate_method=CalibrationMethod.MinMax,
)
os.remove(folded)
