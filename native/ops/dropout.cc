// Dropout, scaled while training (Caffe), the identity in inference.
#include "ops/op.h"

namespace googlenet {

static Shape shape(const Row& row, const std::vector<Shape>& sources) {
  if (!(row.attributes.dropout_ratio >= 0 && row.attributes.dropout_ratio < 1))
    invalid_row(row, "ratio must be in [0, 1), got " + std::to_string(row.attributes.dropout_ratio));
  return sources[0];
}

const Op op_dropout{1, 1, shape, no_weights, no_macs, false, false, true, Op::never, false, Op::kept};

}  // namespace googlenet
