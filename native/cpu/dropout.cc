// DROPOUT: kept values are scaled by 1 / (1 - ratio) while training; nothing is saved, the backward pass draws the same
// numbers again. An element's number depends on the seed, the training step, the layer's stream and its place alone:
//   group = ((n * H + y) * W + x) * ceil(C / 4) + c / 4;  word = Philox(seed)(group low, group high, step, stream)
//   kept when uniform(word[c % 4]) >= ratio; n counts from the bindings' first_sample.
#include "core/rng.h"
#include "core/status.h"
#include "cpu/kernel.h"
#include "cpu/simd.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

template <class Element>
class Dropout : public gn_kernel {
 public:
  Dropout(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        block_(device.block),
        training_(step.training || step.direction == GN_BACKWARD_DATA),
        accumulate_(step.accumulate),
        ratio_(step.attributes.dropout_ratio),
        stream_(step.attributes.dropout_stream),
        from_(step.direction == GN_BACKWARD_DATA ? step.diff_dst : step.src, device.block),
        to_(step.direction == GN_BACKWARD_DATA ? step.diff_src : step.dst, device.block) {
    implementation = activations<Element>(device.isa).name;
    if (!(ratio_ >= 0 && ratio_ < 1)) throw Failure(Code::INTERNAL, "a dropout ratio lies outside [0, 1)");
  }

  void run(const gn_bindings& bindings) override {
    const Element* from = from_.bind<Element>(bindings);
    Element* to = to_.bind<Element>(bindings);
    if (!training_ && !accumulate_ && from == to) return;
    const Philox random(bindings.seed);
    pool_.ranges(int64_t(from_.n) * from_.blocks * from_.h, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const int64_t plane = i / from_.h, n = plane / from_.blocks, b = plane % from_.blocks, y = i % from_.h;
        const int64_t offset = (y * from_.w) * block_;
        row(random, bindings.step, ((bindings.first_sample + n) * from_.h + y) * from_.w, b,
            from + n * from_.image + b * from_.plane + offset, to + n * to_.image + b * to_.plane + offset);
      }
    });
  }

 private:
  void row(const Philox& random, uint32_t step, int64_t first_pixel, int64_t b, const Element* from,
           Element* to) const {
    const float scale = training_ ? 1.0f / (1.0f - ratio_) : 1.0f;
    const int64_t groups = (int64_t(from_.c) + 3) / 4;
    for (int x = 0; x < from_.w; x++)
      for (int lane = 0; lane < block_; lane += 4, from += 4, to += 4) {
        const int64_t group = (first_pixel + x) * groups + (b * block_ + lane) / 4;
        const auto words = training_ ? random(uint32_t(group), uint32_t(uint64_t(group) >> 32), step, stream_)
                                     : std::array<uint32_t, 4>{};
        for (int k = 0; k < 4; k++) {
          const bool kept = !training_ || Philox::uniform(words[k]) >= ratio_;
          const float value = kept ? to_float(from[k]) * scale : 0.0f;
          assign(to[k], accumulate_ ? to_float(to[k]) + value : value);
        }
      }
  }

  ThreadPool& pool_;
  const int block_;
  const bool training_, accumulate_;
  const float ratio_;
  const uint32_t stream_;
  const View from_, to_;
};

}  // namespace

Kernel make_dropout(gn_device& device, const gn_step& step) {
  const gn_tensor& to = step.direction == GN_BACKWARD_DATA ? step.diff_src : step.dst;
  return with_element(
      to.type, [&](auto element) -> Kernel { return std::make_unique<Dropout<decltype(element)>>(device, step); });
}

}  // namespace googlenet::cpu
