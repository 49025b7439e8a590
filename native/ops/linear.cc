// Fully connected layer (Caffe InnerProduct) over (C, H, W) flattened, optionally with fused ReLU.
#include "ops/op.h"

namespace googlenet {

static Shape shape(const Row& row, const std::vector<Shape>&) {
  if (row.outputs < 1) invalid_row(row, "outputs must be positive");
  return {row.outputs, 1, 1};
}

static std::vector<int64_t> weights(const Row& row, const Shape& src) {
  return {row.outputs, int64_t(src.c) * src.h * src.w};
}

static int64_t macs(const Row& row, const Shape& src, const Shape&) {
  return int64_t(row.outputs) * src.c * src.h * src.w;
}

const Op op_linear{1, 1, shape, weights, macs, false, false, false, Op::some, false, Op::made};

}  // namespace googlenet
