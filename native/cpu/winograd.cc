// Where Winograd is used: what it can compute is a matter of shapes; what it should, of measured defaults. Few pixels share
// the reading of weights (or the writing of their gradient), and a window of 3x3 has four times as many of them in
// Winograd's points: the fewest that pay are the instruction set's (2 threads of a Zen 3 and of a Sapphire Rapids, maps of
// 1x1 to 28x28, 8 to 384 channels; decision 0010).
#include "cpu/winograd.h"

#include "cpu/simd.h"

namespace googlenet::cpu {

bool winograd_may(const gn_device& device, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const gn_tensor& src = step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src;
  return !device.exact && device.type == GN_F32 && a.kernel_h == a.kernel_w && (a.kernel_h == 3 || a.kernel_h == 5) &&
         a.stride_h == 1 && a.stride_w == 1 && a.dilation_h == 1 && a.dilation_w == 1 && a.groups == 1 && !src.planar;
}

/** Then direct convolution has to grow the map without AVX-512 (conv.cc): 3 times as slow as Winograd at 64 pixels. */
static bool map_is_small(const gn_step& step) {
  const int taps = step.attributes.kernel_h;
  return step.direction == GN_BACKWARD_WEIGHTS && (step.diff_dst.h < taps || step.diff_dst.w < taps);
}

Kernel make_winograd_anyway(gn_device& device, const gn_step& step) {
  return step.direction == GN_BACKWARD_WEIGHTS ? make_winograd_gradient(device, step)
                                               : make_winograd_data(device, step);
}

Kernel make_winograd(gn_device& device, const gn_step& step) {
  if (!winograd_may(device, step)) return nullptr;
  const gn_tensor& dst = step.direction == GN_FORWARD ? step.dst : step.diff_dst;
  const int64_t pixels = int64_t(dst.n) * dst.h * dst.w;
  if (pixels < kernels(device.isa).winograd_fewest_pixels[step.direction] && !map_is_small(step)) return nullptr;
  return make_winograd_anyway(device, step);
}

}  // namespace googlenet::cpu
