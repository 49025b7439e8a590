// The planner's own steps on gradients: SUM (diff_src += diff_dst) and MASK (the backward of a fused ReLU alone).
#include "core/status.h"
#include "cpu/kernel.h"
#include "cpu/simd.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

template <class Element>
class Gradient : public gn_kernel {
 public:
  Gradient(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(activations<Element>(device.isa)),
        diff_(step.diff_src, device.block),
        other_(step.op == GN_SUM ? step.diff_dst : gn_tensor{}, device.block),
        mask_(step.mask, device.block) {
    implementation = kernels_.name;
    if (step.direction != GN_BACKWARD_DATA || (!other_.present() && !mask_.present()))
      throw Failure(Code::INTERNAL, "a step on gradients has nothing to do");
  }

  // A view's channels of one image are one run of elements; the images are further apart.
  void run(const gn_bindings& bindings) override {
    Element* diff = diff_.bind<Element>(bindings);
    const Element* other = other_.bind<Element>(bindings);
    const Element* mask = mask_.bind<Element>(bindings);
    const int64_t rows = int64_t(diff_.blocks) * diff_.h, row = diff_.plane / diff_.h;
    pool_.ranges(diff_.n * rows, [&](int64_t first, int64_t last) {
      while (first < last) {
        const int64_t n = first / rows, start = first % rows;
        const int64_t count = rows - start < last - first ? rows - start : last - first;
        const int64_t offset = start * row;
        kernels_.combine(diff + n * diff_.image + offset, other ? other + n * other_.image + offset : nullptr,
                         mask ? mask + n * mask_.image + offset : nullptr, count * row);
        first += count;
      }
    });
  }

 private:
  ThreadPool& pool_;
  const ActivationKernels<Element>& kernels_;
  const View diff_, other_, mask_;
};

}  // namespace

Kernel make_gradient(gn_device& device, const gn_step& step) {
  return with_element(step.diff_src.type, [&](auto element) -> Kernel {
    return std::make_unique<Gradient<decltype(element)>>(device, step);
  });
}

}  // namespace googlenet::cpu
