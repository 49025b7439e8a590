// The planner's own steps on gradients: SUM (diff_src += diff_dst) and MASK (the backward of a fused ReLU alone).
#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

template <class T>
struct Combine {
  Gradient<T> gradient;
  View<T> other;  // null: nothing to add
  uint32_t span;
  GN_DEVICE void operator()(uint32_t i) const {
    const uint32_t pixel = i / span, channel = i % span;
    gradient.put(pixel, channel, other.data ? other.at(pixel, channel) : 0.0f);
  }
};

}  // namespace

Kernel make_gradient(gn_device& device, const gn_step& step) {
  return with_type(step.diff_src.type, [&](auto element) {
    using T = decltype(element);
    return own_kernel([&device, step](const gn_bindings& b) {
      Combine<T> body{bind_gradient<T>(step, b), {}, uint32_t(step.diff_src.span)};
      body.gradient.accumulate = true;
      if (step.op == GN_SUM) body.other = bind<T>(step.diff_dst, b);
      for_each(device, pixels(step.diff_src) * step.diff_src.span, body);
    });
  });
}

}  // namespace googlenet::cuda
