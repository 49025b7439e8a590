// Convolutions and fully connected layers, ready to run: cuDNN's plan (conv_planner.h) and our own passes around it.
#include <optional>

#include "backend/scratch.h"
#include "core/status.h"
#include "cuda/conv_kernels.h"
#include "cuda/conv_planner.h"
#include "cuda/fold.h"
#include "cuda/tuning.h"

namespace googlenet::cuda {
namespace {

/** A convolution ready to run: the plan, and the passes around it. */
class Conv {
 public:
  Conv(gn_device& device, const gn_step& step, const Way& way, Plan plan)
      : device_(device), step_(step), src_(source(step)), dst_(output(step)), plan_(std::move(plan)), way_(way) {
    if (way_.folded) {
      folding_.emplace(step);
      src_at_ = scratch_.add(folding_->pixels(src_.n) * folding_->channels * gn_bytes_of(type_));
      weights_at_ = scratch_.add(folding_->weights(dst_.span) * (forward() ? gn_bytes_of(type_) : sizeof(float)));
    }
    if (way_.packed && is_slice(src_)) src_at_ = scratch_.add(pixels(src_) * src_.span * gn_bytes_of(type_));
    if ((way_.packed && is_slice(dst_)) || (!way_.graph && dst_.type != type_))
      dst_at_ = scratch_.add(pixels(dst_) * dst_.span * gn_bytes_of(type_));
    if (!way_.graph && rounds_weights(device, step)) weights_at_ = scratch_.add(step.weights.size * gn_bytes_of(type_));
    workspace_at_ = scratch_.add(plan_->workspace());
    if (step.mask.arena != GN_NONE && !way_.masks) {
      gn_step mask = step;
      mask.op = GN_MASK;
      mask_ = make_gradient(device, mask);
    }
    if (sums_bias()) bias_at_ = scratch_.add(bias_scratch(pixels(dst_), dst_.span));
  }

  std::string implementation() const {
    return "cudnn:" + std::to_string(plan_->engine()) + " " + way_.name +
           (plan_->tensor_cores() ? ", tensor cores" : "") + ", workspace " + std::to_string(plan_->workspace());
  }
  int64_t scratch_bytes() const { return scratch_.bytes(); }

  void run(const gn_bindings& b) const {
    const Pixels src = bind(src_, b), dst = bind(dst_, b);
    const Pixels x = dense(src, src_at_, src_.span, b), y = dense(dst, dst_at_, dst_.span, b);
    const bool forward = this->forward(), data = step_.direction == GN_BACKWARD_DATA;
    if (folding_) {
      fold_source(device_, *folding_, x.data, src, src_);
      if (forward)
        fold_weights(device_, *folding_, {weights(b), 0, type_}, {own_weights(b), 0, type_}, dst_.span, src_.span);
    } else if (src_at_ >= 0 && !data) {
      copy(device_, x, src, pixels(src_), src_.span);
    }
    if (dst_at_ >= 0 && !forward) copy(device_, y, dst, pixels(dst_), dst_.span);
    const float* bias = step_.bias.offset < 0 ? nullptr : b.parameters + step_.bias.offset;
    const void* const mask = step_.mask.arena == GN_NONE ? nullptr : bind(step_.mask, b).data;
    plan_->run(*device_.target, {x.data, weights(b), y.data, bias, mask, Scratch::at(b, workspace_at_)});
    if (forward && !way_.graph && (bias || step_.attributes.relu || dst_at_ >= 0))
      add_bias(device_, dst, y, bias, step_.attributes.relu, pixels(dst_), dst_.span);
    if (data && src_at_ >= 0) copy(device_, src, x, pixels(src_), src_.span);
    if (mask_) mask_->run(b);
    if (sums_bias())
      bias_gradient(device_, dst, b.gradients + step_.bias.offset, pixels(dst_), dst_.span,
                    Scratch::floats(b, bias_at_));
    if (step_.direction == GN_BACKWARD_WEIGHTS) finish_weights(b);
  }

 private:
  bool forward() const { return step_.direction == GN_FORWARD; }
  bool sums_bias() const { return step_.direction == GN_BACKWARD_WEIGHTS && step_.bias.offset >= 0; }
  void* weights(const gn_bindings& b) const { return weights_at_ >= 0 ? Scratch::at(b, weights_at_) : own_weights(b); }
  void* own_weights(const gn_bindings& b) const {
    if (step_.direction == GN_BACKWARD_WEIGHTS) return b.gradients + step_.weights.offset;
    return static_cast<char*>(const_cast<void*>(b.weights)) + step_.weights.offset * gn_bytes_of(type_);
  }
  void finish_weights(const gn_bindings& b) const {
    float* const w = b.gradients + step_.weights.offset;
    const int size = int(step_.weights.size);
    if (folding_)
      unfold_weights(device_, *folding_, w, static_cast<const float*>(weights(b)), dst_.span, src_.span);
    else if (weights_at_ >= 0)
      copy(device_, {w, size, GN_F32}, {weights(b), size, type_}, 1, size);
    if (step_.attributes.groups > 1)
      clear_off_blocks(device_, w, int64_t(step_.attributes.kernel_h) * step_.attributes.kernel_w, src_.span, dst_.c,
                       src_.c, step_.attributes.groups);
  }
  Pixels dense(const Pixels& view, int64_t at, int span, const gn_bindings& b) const {
    return at < 0 ? view : Pixels{Scratch::at(b, at), span, type_};
  }

  gn_device& device_;
  const gn_step step_;
  const gn_tensor src_, dst_;
  const gn_type type_ = factors(device_);
  const Plan plan_;
  const Way way_;
  Kernel mask_;  // null: there is none, or it is in the plan
  std::optional<Folding> folding_;
  Scratch scratch_{256};
  int64_t src_at_ = -1, dst_at_ = -1, weights_at_ = -1, workspace_at_ = -1, bias_at_ = -1;
};

Kernel kernel_of(gn_device& device, const gn_step& step, const Planned& planned) {
  const auto conv = std::make_shared<const Conv>(device, step, planned.way, planned.plan);
  Kernel kernel = own_kernel([conv](const gn_bindings& b) { conv->run(b); });
  kernel->implementation = conv->implementation();
  kernel->scratch_bytes = conv->scratch_bytes();
  return kernel;
}

Kernel first_that_fits(gn_device& device, const gn_step& step) {
  const std::vector<Planned> tried = Planner(device, *device.target, step).until_one_fits();
  if (*tried.back().plan) return kernel_of(device, step, tried.back());
  throw Failure(Code::UNSUPPORTED, std::string("cuDNN ") + cudnn().version + " cannot run layer '" + step.name +
                                       "': " + tried.back().plan->reason());
}

class Candidates : public TuningCandidates {
 public:
  explicit Candidates(gn_device& device) : device_(device) {}

  std::vector<Candidate> first(const gn_step& step) const override {
    std::vector<Candidate> list;
    for (const Planned& planned : Planner(device_, *device_.target, step).candidates()) {
      if (!*planned.plan) continue;
      list.push_back({planned.name(), kernel_of(device_, step, planned)});
    }
    return list;
  }

  Kernel named(const gn_step& step, const std::string& name) const override {
    const auto planned = Planner(device_, *device_.target, step).named(name);
    return planned ? kernel_of(device_, step, *planned) : nullptr;
  }

 private:
  gn_device& device_;
};

}  // namespace

Kernel make_conv(gn_device& device, const gn_step& step) {
  if (step.accumulate) throw Failure(Code::INTERNAL, "a convolution cannot accumulate");
  if (device.tune)
    if (Kernel kernel = tuned(device, step, Candidates(device))) return kernel;
  return first_that_fits(device, step);
}

}  // namespace googlenet::cuda
