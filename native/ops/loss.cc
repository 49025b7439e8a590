// Softmax with cross-entropy (Caffe SoftmaxWithLoss, normalised by the batch). The output blob: probabilities.
#include "ops/op.h"

namespace googlenet {

static Shape shape(const Row& row, const std::vector<Shape>& sources) {
  if (sources[0].h != 1 || sources[0].w != 1)
    invalid_row(row, "the source must be (C, 1, 1), got " + to_string(sources[0]));
  return sources[0];
}

const Op op_loss{1, 1, shape, no_weights, no_macs, false, true, true, Op::never, true, Op::contiguous};

}  // namespace googlenet
