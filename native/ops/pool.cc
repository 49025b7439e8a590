// Pooling with Caffe's output size: ceil((size + 2 pad - kernel) / stride) + 1 (or floor), and with padding the last
// window must start inside the source or its left padding. src/caffe/layers/pooling_layer.cpp.
#include "ops/op.h"

namespace googlenet {

static int pooled(const Row& row, int size, int kernel, int stride, int pad) {
  if (kernel > size + 2 * pad) invalid_row(row, "the window is larger than the padded source");
  if (pad >= kernel) invalid_row(row, "the padding must be smaller than the window");
  const int room = size + 2 * pad - kernel;
  int out = (row.floor ? room / stride : (room + stride - 1) / stride) + 1;
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

const Op op_pool{1, 1, shape, no_weights, no_macs, false, false, true, true, false, Op::kept};

}  // namespace googlenet
