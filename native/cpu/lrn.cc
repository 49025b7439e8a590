// LRN: y = x * (k + alpha / size * sum x^2)^-beta over `size` neighbouring channels (size^2 and pixels within a
// channel). Across channels the view's logical channels must lie side by side with padding at its end only. Nothing
// is saved for the backward pass, which computes the sums anew: they cost less than reading them back from memory.
#include <string>

#include "core/status.h"
#include "cpu/kernel.h"
#include "cpu/simd.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

// A tile and its temporaries should stay in the first-level cache (32 KiB and more) beside the planes' lines.
constexpr int64_t kTileBytes = 24 * 1024;

template <class Element>
class Lrn : public gn_kernel {
 public:
  Lrn(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(activations<Element>(device.isa)),
        backward_(step.direction == GN_BACKWARD_DATA),
        within_(step.attributes.lrn_region == GN_LRN_WITHIN),
        accumulate_(step.accumulate),
        src_(step.src, device.block),
        dst_(backward_ ? step.diff_src : step.dst, device.block),
        diff_dst_(step.diff_dst, device.block),
        mask_(step.mask, device.block) {
    const gn_attributes& a = step.attributes;
    implementation = kernels_.name;
    if (a.lrn_size < 1 || a.lrn_size % 2 == 0 || src_.span != dst_.span)
      throw Failure(Code::INTERNAL, std::string("LRN '") + step.name + "' needs an odd window and equal shapes");
    const float window = float(a.lrn_size) * (within_ ? float(a.lrn_size) : 1.0f);
    shape_ = {a.lrn_size, src_.blocks, src_.plane, src_.h, src_.w, a.lrn_k, a.lrn_alpha / window, a.lrn_beta, 1};
    if (within_) {
      slot_ = backward_ ? 2 * src_.plane : 0;
    } else {
      const int64_t tiles = kTileBytes / int64_t(sizeof(float)) / kernels_.lrn_scratch(shape_);
      shape_.tile = tiles < 1 ? 1 : tiles > 16 ? 16 : int(tiles);
      slot_ = kernels_.lrn_scratch(shape_);
    }
    slot_ = (slot_ + 31) / 32 * 32;  // threads share no pair of cache lines
    scratch_bytes = slot_ * pool_.threads() * int64_t(sizeof(float));
  }

  void run(const gn_bindings& bindings) override {
    const int64_t items = int64_t(src_.n) * (!within_    ? int64_t(src_.h) * src_.w
                                             : backward_ ? src_.blocks
                                                         : int64_t(src_.blocks) * src_.h);
    const int64_t parts = items < pool_.threads() ? items : pool_.threads();
    pool_.items(parts, [&](int64_t thread, int64_t i) {
      float* scratch = slot_ ? static_cast<float*>(bindings.scratch) + thread * slot_ : nullptr;
      const int64_t first = items * i / parts, last = items * (i + 1) / parts;
      if (within_)
        within(bindings, first, last, scratch);
      else
        across(bindings, first, last, scratch);
    });
  }

 private:
  Element* at(const View& view, const gn_bindings& bindings, int64_t n, int64_t offset) const {
    Element* base = view.bind<Element>(bindings);
    return base ? base + n * view.image + offset : nullptr;
  }

  /** Pixels [first, last) of all images. */
  void across(const gn_bindings& bindings, int64_t first, int64_t last, float* scratch) {
    const int64_t pixels = int64_t(src_.h) * src_.w;
    while (first < last) {
      const int64_t n = first / pixels, pixel = first % pixels;
      const int64_t count = pixels - pixel < last - first ? pixels - pixel : last - first;
      const int64_t offset = pixel * kernels_.block;
      const Element* src = at(src_, bindings, n, offset);
      Element* dst = at(dst_, bindings, n, offset);
      if (backward_)
        kernels_.lrn_across_backward(shape_, src, at(diff_dst_, bindings, n, offset), dst,
                                     at(mask_, bindings, n, offset), accumulate_, count, scratch);
      else
        kernels_.lrn_across_forward(shape_, src, dst, count, scratch);
      first += count;
    }
  }

  /** Forward: rows [first, last) of all planes; backward: planes. */
  void within(const gn_bindings& bindings, int64_t first, int64_t last, float* scratch) {
    const int rows = backward_ ? 1 : src_.h;
    while (first < last) {
      const int64_t plane = first / rows, n = plane / src_.blocks, offset = plane % src_.blocks * src_.plane;
      const int y0 = int(first - plane * rows);
      const int y1 = last - plane * rows < rows ? int(last - plane * rows) : rows;
      const Element* src = at(src_, bindings, n, offset);
      Element* dst = at(dst_, bindings, n, offset);
      if (backward_)
        kernels_.lrn_within_backward(shape_, src, at(diff_dst_, bindings, n, offset), dst,
                                     at(mask_, bindings, n, offset), accumulate_, scratch);
      else
        kernels_.lrn_within_forward(shape_, src, dst, y0, y1);
      first += y1 - y0;
    }
  }

  ThreadPool& pool_;
  const ActivationKernels<Element>& kernels_;
  const bool backward_, within_, accumulate_;
  const View src_, dst_, diff_dst_, mask_;  // dst_: backward's diff_src
  LrnShape shape_;
  int64_t slot_ = 0;  // floats of scratch of one thread
};

}  // namespace

Kernel make_lrn(gn_device& device, const gn_step& step) {
  return with_element(step.src.type,
                      [&](auto element) -> Kernel { return std::make_unique<Lrn<decltype(element)>>(device, step); });
}

}  // namespace googlenet::cpu
