// Where Winograd is used. What it can compute is a matter of shapes; what it should is a table of measured defaults.
#include "cpu/winograd.h"

namespace googlenet::cpu {

bool winograd_can(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const gn_tensor& src = step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src;
  return a.kernel_h == a.kernel_w && (a.kernel_h == 3 || a.kernel_h == 5) && a.stride_h == 1 && a.stride_w == 1 &&
         a.dilation_h == 1 && a.dilation_w == 1 && a.groups == 1 && !src.planar;
}

Kernel make_winograd(gn_device& device, const gn_step& step) {
  if (device.exact || !winograd_can(step)) return nullptr;
  return step.direction == GN_BACKWARD_WEIGHTS ? make_winograd_gradient(device, step)
                                               : make_winograd_data(device, step);
}

}  // namespace googlenet::cpu
