// Convolutions and fully connected layers by cuDNN, on channel slices of wide buffers. A fully connected layer is a
// convolution whose window is its whole source. Three ways, the first that cuDNN has an engine for is taken:
//   fused   everything in one graph, on the slices;
//   plain   the convolution alone on the slices, the rest in a pass of our own;
//   packed  slices are copied to dense scratch and back, the rest in the same pass.
// A plan on slices that wants more workspace than kInPlace copies them itself, and is refused; only for gradients of
// weights it may be the parts of sums that were cut. With device.tune all ways and engines are candidates, those that
// copy too, and the fastest is taken (tuning.h). On tensor cores, convolutions over few channels are folded first
// (fold.h) and then fused.
//
// In bf16 a graph may end in f32 and a lone convolution may not, so its result passes through scratch. The gradients of
// weights would be rounded there: before that comes a fourth way, packed-fused, the whole graph on dense copies.
#include <cstdio>
#include <optional>

#include "backend/scratch.h"
#include "core/status.h"
#include "cuda/conv_kernels.h"
#include "cuda/fold.h"
#include "cuda/tuning.h"

namespace googlenet::cuda {
namespace {

struct Way {
  const char* name;
  bool graph, packed, folded = false;
};
constexpr Way kFused{"fused", true, false}, kPlain{"plain", false, false}, kPacked{"packed", false, true},
    kPackedFused{"packed-fused", true, true}, kFolded{"folded", true, false, true};

// Bytes of workspace. In f32 cuDNN's engines change the layout of whole tensors there.
constexpr int64_t kInPlace = 64 << 10, kParts = 64 << 20, kCopying = 1 << 30;

Tensor tensor_of(const gn_tensor& t, const Way& way, gn_type type) {
  const int64_t pitch = way.packed ? t.span : t.channels;
  return {{t.n, t.span, t.h, t.w}, {t.h * t.w * pitch, 1, t.w * pitch, pitch}, way.graph ? t.type : type};
}
bool is_slice(const gn_tensor& t) { return t.span != t.channels; }

/** The source (or its gradient) and the output (or its gradient) of a step. */
const gn_tensor& source(const gn_step& s) { return s.direction == GN_BACKWARD_DATA ? s.diff_src : s.src; }
const gn_tensor& output(const gn_step& s) { return s.direction == GN_FORWARD ? s.dst : s.diff_dst; }

/** A lone convolution would round the gradients of weights. */
bool rounds_weights(const gn_device& device, const gn_step& step) {
  return step.direction == GN_BACKWARD_WEIGHTS && factors(device) != GN_F32;
}

bool folds(const gn_device& device, const gn_step& step) {
  return device.precision != GN_PRECISION_F32 && Folding::fits(step);
}

std::vector<Way> ways_of(const gn_device& device, const gn_step& step) {
  std::vector<Way> ways{kFused, kPlain, kPacked};
  if (rounds_weights(device, step)) ways = {kFused, kPackedFused, kPlain, kPacked};
  if (folds(device, step)) ways.insert(ways.begin(), kFolded);
  return ways;
}

struct Attempt {
  Way way;
  Choice choice;
};

/** What is tried where nothing is timed. Off tensor cores nothing may work in place but the engine that stands in for
 *  everything, which took hundreds of times as long on an H200: there those that copy come before what cuDNN falls back
 *  on. */
std::vector<Attempt> attempts_of(const gn_device& device, const gn_step& step) {
  std::vector<Attempt> list;
  for (const bool fallback : {false, true}) {
    if (!fallback && device.precision != GN_PRECISION_F32) continue;
    for (const Way& way : ways_of(device, step)) {
      const bool parts = way.graph && step.direction == GN_BACKWARD_WEIGHTS;
      list.push_back({way, {way.packed ? kCopying : parts ? kParts : kInPlace, fallback}});
    }
  }
  return list;
}

/** `type`: of what is multiplied. */
Convolution convolution_of(const gn_step& step, const Way& way, gn_precision precision, gn_type type) {
  const gn_attributes& a = step.attributes;
  const gn_tensor &src = source(step), &dst = output(step);
  const bool forward = step.direction == GN_FORWARD;
  Convolution c{step.direction,
                tensor_of(src, way, type),
                {},
                tensor_of(dst, way, type),
                {1, 1},
                {1, 1},
                {0, 0},
                forward && step.bias.offset >= 0,
                forward && a.relu,
                precision};
  int64_t h = src.h, w = src.w, columns = src.span;
  if (way.folded) {
    const Folding f(step);
    columns = f.channels, h = f.taps, w = 1;
    c.src = {
        {src.n, columns, f.height, f.width}, {f.height * f.width * columns, 1, f.width * columns, columns}, c.src.type};
  } else if (step.op == GN_CONV) {
    h = a.kernel_h, w = a.kernel_w;
    c.stride = {a.stride_h, a.stride_w}, c.dilation = {a.dilation_h, a.dilation_w}, c.pad = {a.pad_h, a.pad_w};
  } else if (way.packed || !is_slice(src)) {  // one row of floats an image
    columns *= h * w, h = w = 1;
    c.src = {{src.n, columns, 1, 1}, {columns, 1, columns, columns}, c.src.type};
  }
  const gn_type weights = step.direction == GN_BACKWARD_WEIGHTS && way.graph ? GN_F32 : type;
  c.weights = {{dst.span, columns, h, w}, {columns * h * w, 1, columns * w, columns}, weights};
  return c;
}

struct Planned {
  Way way;
  Plan plan;
};

/** Asks for plans of a step, for a target. */
class Planner {
 public:
  Planner(gn_device& device, const Target& target, const gn_step& step)
      : device_(device), target_(target), step_(step) {}

  /** Attempt by attempt up to the first that cuDNN has an engine for: the last of the list, unless there is none. */
  std::vector<Planned> until_one_fits() const {
    std::vector<Planned> list;
    for (const auto& [way, choice] : attempts_of(device_, step_)) {
      list.push_back({way, plan(way, choice)});
      if (*list.back().plan) break;
    }
    return list;
  }

  /** Of all ways; where cuDNN has no more engines for one, that is told by a last plan that cannot run. */
  std::vector<Planned> candidates() const {
    std::vector<Planned> list;
    for (const Way& way : ways_of(device_, step_)) {
      if (way.packed && !is_slice(source(step_)) && !is_slice(output(step_))) continue;  // nothing to pack
      if (!way.graph && rounds_weights(device_, step_)) continue;                        // the last resort
      int64_t from = 0;
      for (int found = 0; found < kMostCandidates; found++) {
        list.push_back({way, plan(way, {kCopying, true, from})});
        if (!*list.back().plan) break;
        from = list.back().plan->number() + 1;
      }
    }
    return list;
  }

  /** A candidate by its name, "WAY ENGINE NUMBER". */
  std::optional<Planned> named(const std::string& name) const {
    for (const Way& way : ways_of(device_, step_)) {
      char text[16] = "";
      long long engine = 0, number = 0;
      if (std::sscanf(name.c_str(), "%15s %lld %lld", text, &engine, &number) != 3 || way.name != std::string(text))
        continue;
      Plan found = plan(way, {kCopying, true, number});
      if (*found && found->engine() == engine && found->number() == number) return Planned{way, std::move(found)};
    }
    return std::nullopt;
  }

 private:
  Plan plan(const Way& way, const Choice& choice) const {
    const Convolution convolution = convolution_of(step_, way, device_.precision, factors(device_));
    return device_.plans.get(target_, convolution, way.graph, choice);
  }

  gn_device& device_;
  const Target& target_;
  const gn_step& step_;
};

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
    plan_->run(*device_.target, {x.data, weights(b), y.data, bias, Scratch::at(b, workspace_at_)});
    if (forward && !way_.graph && (bias || step_.attributes.relu || dst_at_ >= 0))
      add_bias(device_, dst, y, bias, step_.attributes.relu, pixels(dst_), dst_.span);
    if (data && src_at_ >= 0) copy(device_, src, x, pixels(src_), src_.span);
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
      char name[64];
      std::snprintf(name, sizeof name, "%s %lld %lld", planned.way.name, static_cast<long long>(planned.plan->engine()),
                    static_cast<long long>(planned.plan->number()));
      list.push_back({name, kernel_of(device_, step, planned)});
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
  if (step.accumulate || step.mask.arena != GN_NONE)
    throw Failure(Code::INTERNAL, "a convolution can neither accumulate nor mask");
  if (device.tune)
    if (Kernel kernel = tuned(device, step, Candidates(device))) return kernel;
  return first_that_fits(device, step);
}

Convolution first_convolution(const gn_device& device, const gn_step& step) {
  return convolution_of(step, ways_of(device, step).front(), device.precision, factors(device));
}

std::vector<Plan> plans_of_conv(gn_device& device, const Target& target, const gn_step& step) {
  const Planner planner(device, target, step);
  std::vector<Planned> planned;
  if (!device.tune || step.attributes.groups > 1)
    planned = planner.until_one_fits();
  else if (const auto name = remembered(device, step); !name)
    planned = planner.candidates();
  else if (auto found = planner.named(*name))
    planned.push_back(std::move(*found));
  std::vector<Plan> plans;
  for (Planned& one : planned) plans.push_back(std::move(one.plan));
  return plans;
}

}  // namespace googlenet::cuda
