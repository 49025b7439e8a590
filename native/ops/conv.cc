// Convolution (Caffe Convolution), optionally with fused ReLU: floor((size + 2 pad - extent) / stride) + 1.
#include "ops/op.h"

namespace googlenet {

static int extent(int kernel, int dilation) { return dilation * (kernel - 1) + 1; }

static Shape shape(const Row& row, const std::vector<Shape>& sources) {
  const gn_attributes& a = row.attributes;
  const Shape& src = sources[0];
  if (row.outputs < 1) invalid_row(row, "outputs must be positive");
  if (row.groups < 1 || src.c % row.groups || row.outputs % row.groups)
    invalid_row(row, "groups (" + std::to_string(row.groups) + ") must divide the source's channels (" +
                         std::to_string(src.c) + ") and outputs (" + std::to_string(row.outputs) + ")");
  const int h = src.h + 2 * a.pad_h - extent(a.kernel_h, a.dilation_h);
  const int w = src.w + 2 * a.pad_w - extent(a.kernel_w, a.dilation_w);
  if (h < 0 || w < 0) invalid_row(row, "the kernel is larger than the padded source " + to_string(src));
  return {row.outputs, h / a.stride_h + 1, w / a.stride_w + 1};
}

static std::vector<int64_t> weights(const Row& row, const Shape& src) {
  return {row.outputs, src.c / row.groups, row.attributes.kernel_h, row.attributes.kernel_w};
}

static int64_t macs(const Row& row, const Shape& src, const Shape& dst) {
  return int64_t(dst.c) * dst.h * dst.w * (src.c / row.groups) * row.attributes.kernel_h * row.attributes.kernel_w;
}

const Op op_conv{1, 1, shape, weights, macs, false, false, false, Op::some, false, Op::made};

}  // namespace googlenet
