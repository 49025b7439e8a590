// POOL: max and average, Caffe's conventions (pooling_layer.cpp). Work is split by rows of all planes, so that one
// image of few channel blocks still feeds every thread.
#include <string>

#include "core/status.h"
#include "cpu/kernel.h"
#include "cpu/pool.h"
#include "cpu/simd.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

constexpr int kMaxWindow = 255;  // the workspace's byte holds row * kernel_w + column; 255 means an empty window

template <class Element>
class Pool : public gn_kernel {
 public:
  Pool(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(activations<Element>(device.isa)),
        backward_(step.direction == GN_BACKWARD_DATA),
        average_(step.attributes.pool_kind == GN_POOL_AVERAGE),
        accumulate_(step.accumulate),
        in_(backward_ ? step.diff_src : step.src, device.block),
        out_(backward_ ? step.diff_dst : step.dst, device.block),
        mask_(step.mask, device.block),
        workspace_(step.workspace),
        windows_(step.attributes, in_, out_) {
    const gn_attributes& a = step.attributes;
    implementation = kernels_.name;
    if (step.direction == GN_BACKWARD_WEIGHTS) throw Failure(Code::INTERNAL, "pooling has no weights");
    const bool indexed = !average_ && (backward_ || workspace_.arena != GN_NONE);
    if (indexed && workspace_.arena == GN_NONE)
      throw Failure(Code::INTERNAL, std::string("backward max pooling '") + step.name + "' lacks its workspace");
    if (indexed && int64_t(a.kernel_h) * a.kernel_w > kMaxWindow)
      throw Failure(Code::UNSUPPORTED, std::string("max pooling '") + step.name +
                                           "' is trained with windows of at most " + std::to_string(kMaxWindow) +
                                           " elements; use a smaller kernel");
  }

  void run(const gn_bindings& bindings) override {
    Element* in = in_.bind<Element>(bindings);
    Element* out = out_.bind<Element>(bindings);
    const Element* mask = mask_.bind<Element>(bindings);
    uint8_t* index = workspace_.arena == GN_NONE
                         ? nullptr
                         : static_cast<uint8_t*>(bindings.arenas[workspace_.arena]) + workspace_.offset;
    for_rows(pool_, backward_ ? in_ : out_, [&](int64_t n, int64_t b, int y0, int y1) {
      Element* src = in + n * in_.image + b * in_.plane;
      Element* dst = out + n * out_.image + b * out_.plane;
      uint8_t* at = index ? index + (n * out_.blocks + b) * out_.plane : nullptr;
      const Element* zeroing = mask ? mask + n * mask_.image + b * mask_.plane : nullptr;
      if (!backward_ && average_)
        kernels_.average_forward(windows_.shape, src, dst, y0, y1);
      else if (!backward_ && at)
        kernels_.max_forward_index(windows_.shape, src, dst, at, y0, y1);
      else if (!backward_)
        kernels_.max_forward(windows_.shape, src, dst, y0, y1);
      else if (average_)
        kernels_.average_backward(windows_.shape, dst, src, zeroing, accumulate_, y0, y1);
      else
        kernels_.max_backward(windows_.shape, dst, at, src, zeroing, accumulate_, y0, y1);
    });
  }

 private:
  ThreadPool& pool_;
  const ActivationKernels<Element>& kernels_;
  const bool backward_, average_, accumulate_;
  const View in_, out_;  // src and dst, or diff_src and diff_dst
  const View mask_;
  const gn_tensor workspace_;
  const PoolWindows windows_;
};

}  // namespace

Kernel make_pool(gn_device& device, const gn_step& step) {
  if (step.src.type == GN_U8) return make_byte_pool(device, step);
  return with_element(step.direction == GN_FORWARD ? step.dst.type : step.diff_src.type,
                      [&](auto element) -> Kernel { return std::make_unique<Pool<decltype(element)>>(device, step); });
}

}  // namespace googlenet::cpu
