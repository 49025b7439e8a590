// Pooling with Caffe's output size: ceil((size + 2 pad - kernel) / stride) + 1 (or floor), and with padding the last
// window must start inside the source or its left padding. A window larger than the source is cut to it, as Caffe
// does, where rounding up leaves one. src/caffe/layers/pooling_layer.cpp.
#include <cmath>

#include "ops/op.h"

namespace googlenet {

static int pooled(const Row& row, int size, int kernel, int stride, int pad) {
  if (pad >= kernel) invalid_row(row, "the padding must be smaller than the window");
  const double steps = double(size + 2 * pad - kernel) / stride;
  int out = int(row.floor ? std::floor(steps) : std::ceil(steps)) + 1;
  if (out < 1) invalid_row(row, "the window is larger than the padded source");
  if (pad && (out - 1) * stride >= size + pad) out--;
  return out;
}

static Shape shape(const Row& row, const std::vector<Shape>& sources) {
  const gn_attributes& a = row.attributes;
  const Shape& src = sources[0];
  if (row.global) return {src.c, 1, 1};
  return {src.c, pooled(row, src.h, a.kernel_h, a.stride_h, a.pad_h),
          pooled(row, src.w, a.kernel_w, a.stride_w, a.pad_w)};
}

const Op op_pool{1, 1, shape, no_weights, no_macs, false, false, true, Op::always, false, Op::kept};

}  // namespace googlenet
