// DROPOUT: kept values are scaled by 1 / (1 - ratio) while training; nothing is saved, the backward pass draws the same
// numbers again. They are the CPU's numbers (cpu/dropout.cc says which): one thread draws four.
#include "core/rng.h"
#include "cuda/launch.h"

namespace googlenet::cuda {
namespace {

template <class T>
struct Dropout {
  Packs<4> packs;
  View<T> from, to;
  uint64_t seed;
  int64_t first_sample;  // of the whole batch that several workers share
  uint32_t step;
  const gn_bindings* variable;  // null, or where these three are read
  uint32_t stream, area;
  uint32_t groups;  // of four logical channels a pixel
  float ratio;
  bool training, accumulate;
  GN_DEVICE void operator()(uint32_t i) const {
    const auto [pixel, channel] = packs(i);
    const uint64_t first_pixel = uint64_t(variable ? variable->first_sample : first_sample) * area;
    const uint64_t group = (first_pixel + pixel) * groups + channel / 4;
    const Philox random(variable ? variable->seed : seed);
    const auto words = random(uint32_t(group), uint32_t(group >> 32), variable ? variable->step : step, stream);
    const float scale = training ? 1.0f / (1.0f - ratio) : 1.0f;
    Floats<4> values = from.template load<4>(pixel, channel);
    const Floats<4> before = accumulate ? to.template load<4>(pixel, channel) : Floats<4>{};
    for (int k = 0; k < 4; k++) {
      const bool kept = !training || Philox::uniform(words[k]) >= ratio;
      const float value = kept ? values[k] * scale : 0.0f;
      values[k] = accumulate ? before[k] + value : value;
    }
    to.store(pixel, channel, values);
  }
};

}  // namespace

Kernel make_dropout(gn_device& device, const gn_step& step) {
  const bool backward = step.direction == GN_BACKWARD_DATA;
  return with_type(backward ? step.diff_src.type : step.dst.type, [&](auto element) {
    using T = decltype(element);
    return own_kernel([&device, step, backward](const gn_bindings& b) {
      const gn_tensor& t = backward ? step.diff_src : step.dst;
      const View from = bind<T>(backward ? step.diff_dst : step.src, b);
      for_each(device, pixels(t) * t.span / 4,
               Dropout<T>{Packs<4>(t.span), from, bind<T>(t, b), b.seed, b.first_sample, b.step, b.variable,
                          step.attributes.dropout_stream, uint32_t(t.h * t.w), uint32_t(t.c + 3) / 4,
                          step.attributes.dropout_ratio, backward || step.training, bool(step.accumulate)});
    });
  });
}

}  // namespace googlenet::cuda
