"""Makes OpenVINO's int8 model with NNCF, post training."""

import nncf
import openvino as ov
from openvino.passes import ConstantFolding, Manager
from serve import calibration, made, prepared

model = ov.Core().read_model(prepared('network.onnx'))
model.reshape([1, 3, 224, 224])
# The ONNX front end writes biases as sub-graphs; unless they are folded first NNCF finds none of them to correct.
passes = Manager()
passes.register_pass(ConstantFolding())
passes.run_passes(model)
photos = calibration()
quantised = nncf.quantize(
    model,
    nncf.Dataset([photo[None] for photo in photos]),
    preset=nncf.QuantizationPreset.PERFORMANCE,
    subset_size=len(photos),
)
ov.save_model(quantised, made('model.xml'), compress_to_fp16=False)
