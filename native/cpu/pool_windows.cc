#include "core/status.h"
#include "cpu/pool.h"

namespace googlenet::cpu {

namespace {

int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

/** Windows that cover element i along one axis: those o with o * stride - pad <= i < o * stride - pad + kernel. */
void covering(int size, int out, int kernel, int stride, int pad, std::vector<int>& first, std::vector<int>& last) {
  first.resize(size), last.resize(size);
  for (int i = 0; i < size; i++) {
    const int end = i + pad - kernel;  // the last window that ends at or before i starts at most here
    first[i] = clamp(end < 0 ? 0 : end / stride + 1, 0, out);
    last[i] = clamp((i + pad) / stride + 1, first[i], out);
  }
}

}  // namespace

PoolWindows::PoolWindows(const gn_attributes& a, const View& in, const View& out) {
  if (a.kernel_h < 1 || a.kernel_w < 1 || a.stride_h < 1 || a.stride_w < 1 || a.pad_h < 0 || a.pad_w < 0 ||
      in.blocks != out.blocks)
    throw Failure(Code::INTERNAL, "a pooling has inconsistent shapes");
  covering(in.h, out.h, a.kernel_h, a.stride_h, a.pad_h, row_first_, row_last_);
  covering(in.w, out.w, a.kernel_w, a.stride_w, a.pad_w, column_first_, column_last_);
  const auto extent = [](int o, int stride, int pad, int kernel, int size) {
    const int start = o * stride - pad;  // clipped on the far side only, and there to the padded input
    return start + kernel < size + pad ? kernel : size + pad - start;
  };
  for (int oy = 0; a.pool_kind == GN_POOL_AVERAGE && oy < out.h; oy++)
    for (int ox = 0; ox < out.w; ox++) {
      const int64_t area = int64_t(extent(oy, a.stride_h, a.pad_h, a.kernel_h, in.h)) *
                           extent(ox, a.stride_w, a.pad_w, a.kernel_w, in.w);
      inverse_area_.push_back(area > 0 ? 1.0f / float(area) : 0.0f);
    }
  shape = {in.h,
           in.w,
           out.h,
           out.w,
           a.kernel_h,
           a.kernel_w,
           a.stride_h,
           a.stride_w,
           a.pad_h,
           a.pad_w,
           row_first_.data(),
           row_last_.data(),
           column_first_.data(),
           column_last_.data(),
           inverse_area_.data()};
}

}  // namespace googlenet::cpu
