// The planner's own steps on gradients: SUM (diff_src += diff_dst) and MASK (the backward of a fused ReLU alone).
#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

template <class T>
struct Combine {
  static constexpr int N = kPack<T>;
  Packs<N> packs;
  Gradient<T> gradient;
  View<T> other;  // null: nothing to add
  GN_DEVICE void operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    gradient.put(pixel, channel, other.data ? other.template load<N>(pixel, channel) : Floats<N>{});
  }
};

}  // namespace

Kernel make_gradient(gn_device& device, const gn_step& step) {
  return with_type(step.diff_src.type, [&](auto element) {
    using T = decltype(element);
    return own_kernel([&device, step](const gn_bindings& b) {
      Combine<T> body{Packs<kPack<T>>(step.diff_src.span), bind_gradient<T>(step, b), {}};
      body.gradient.accumulate = true;
      if (step.op == GN_SUM) body.other = bind<T>(step.diff_dst, b);
      for_each(device, packs<T>(step.diff_src), body);
    });
  });
}

}  // namespace googlenet::cuda
