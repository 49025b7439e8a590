// Where Winograd is used: what it can compute is a matter of shapes; what it should, a table of measured defaults.
#include "cpu/winograd.h"

namespace googlenet::cpu {

namespace {

/** Pixels of output in the batch below which direct convolution is faster: few pixels share the reading of weights (or
 *  the writing of their gradient), and a window of 3x3 has four times as many of them in Winograd's points. By
 *  direction; 2 threads of a Zen 3, maps of 1x1 to 28x28, 8 to 384 channels (decision 0010). */
constexpr int64_t kFewestPixels[] = {
    32,  // forward
    32,  // backward data
    96,  // backward weights
};

}  // namespace

bool winograd_can(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const gn_tensor& src = step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src;
  return a.kernel_h == a.kernel_w && (a.kernel_h == 3 || a.kernel_h == 5) && a.stride_h == 1 && a.stride_w == 1 &&
         a.dilation_h == 1 && a.dilation_w == 1 && a.groups == 1 && !src.planar;
}

/** Then direct convolution has to grow the map without AVX-512 (conv.cc): 3 times as slow as Winograd at 64 pixels. */
static bool map_is_small(const gn_step& step) {
  const int taps = step.attributes.kernel_h;
  return step.direction == GN_BACKWARD_WEIGHTS && (step.diff_dst.h < taps || step.diff_dst.w < taps);
}

Kernel make_winograd(gn_device& device, const gn_step& step) {
  if (device.exact || device.type != GN_F32 || !winograd_can(step)) return nullptr;
  const gn_tensor& dst = step.direction == GN_FORWARD ? step.dst : step.diff_dst;
  const int64_t pixels = int64_t(dst.n) * dst.h * dst.w;
  if (pixels < kFewestPixels[step.direction] && !map_is_small(step)) return nullptr;
  return step.direction == GN_BACKWARD_WEIGHTS ? make_winograd_gradient(device, step)
                                               : make_winograd_data(device, step);
}

}  // namespace googlenet::cpu
