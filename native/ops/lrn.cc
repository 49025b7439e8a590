// Local response normalisation, across channels or within one. Backward recomputes the scale from src.
#include "ops/op.h"

namespace googlenet {

static Shape shape(const Row& row, const std::vector<Shape>& sources) {
  if (row.attributes.lrn_size < 1 || row.attributes.lrn_size % 2 == 0)
    invalid_row(row, "size must be odd and positive, got " + std::to_string(row.attributes.lrn_size));
  return sources[0];
}

const Op op_lrn{1, 1, shape, no_weights, no_macs, true, false, true, Op::always, false, Op::contiguous};

}  // namespace googlenet
