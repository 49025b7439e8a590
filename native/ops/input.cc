// Input: what a caller feeds, (N, C, H, W).
#include "ops/op.h"

namespace googlenet {

static Shape shape(const Row& row, const std::vector<Shape>&) {
  if (row.input.c < 1 || row.input.h < 1 || row.input.w < 1)
    invalid_row(row, "channels, height and width must be positive, got " + to_string(row.input));
  return row.input;
}

const Op op_input{0, 0, shape, no_weights, no_macs, false, false, false, Op::never, false, Op::made};

}  // namespace googlenet
