#include "cuda/conv_planner.h"

#include <cstdio>

#include "cuda/fold.h"
#include "cuda/tuning.h"

namespace googlenet::cuda {
namespace {

constexpr Way kFused{.name = "fused", .graph = true, .masks = true}, kApart{.name = "apart", .graph = true},
    kPlain{.name = "plain"}, kPacked{.name = "packed", .packed = true},
    kPackedFused{.name = "packed-fused", .graph = true, .packed = true},
    kFolded{.name = "folded", .graph = true, .folded = true};

// Bytes of workspace. In f32 cuDNN's engines change the layout of whole tensors there.
constexpr int64_t kInPlace = 64 << 10, kParts = 64 << 20, kCopying = 1 << 30;

Tensor tensor_of(const gn_tensor& t, const Way& way, gn_type type) {
  const int64_t pitch = way.packed ? t.span : t.channels;
  return {{t.n, t.span, t.h, t.w}, {t.h * t.w * pitch, 1, t.w * pitch, pitch}, way.graph ? t.type : type};
}

bool folds(const gn_device& device, const gn_step& step) {
  return device.precision != GN_PRECISION_F32 && Folding::fits(step);
}

std::vector<Way> ways_of(const gn_device& device, const gn_step& step) {
  std::vector<Way> ways{kFused, kPlain, kPacked};
  if (step.mask.arena != GN_NONE) ways.insert(ways.begin() + 1, kApart);
  if (rounds_weights(device, step)) ways = {kFused, kPackedFused, kPlain, kPacked};
  if (folds(device, step)) ways.insert(ways.begin(), kFolded);
  return ways;
}

struct Attempt {
  Way way;
  Choice choice;
};

/** What is tried where nothing is timed. Off tensor cores nothing may work in place but the engine that stands in for
 *  everything, which took up to 100 ms a gradient on an H200: there those that copy come before what cuDNN falls back on. */
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
                way.masks && step.mask.arena != GN_NONE ? tensor_of(step.mask, way, type) : Tensor{},
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
    const auto rows = [&](gn_type of) { return Tensor{{src.n, columns, 1, 1}, {columns, 1, columns, columns}, of}; };
    c.src = rows(c.src.type);
    if (c.masks()) c.mask = rows(c.mask.type);
  }
  const gn_type weights = step.direction == GN_BACKWARD_WEIGHTS && way.graph ? GN_F32 : type;
  c.weights = {{dst.span, columns, h, w}, {columns * h * w, 1, columns * w, columns}, weights};
  return c;
}

}  // namespace

Plan Planner::plan(const Way& way, const Choice& choice) const {
  const Convolution convolution = convolution_of(step_, way, device_.precision, factors(device_));
  return device_.plans.get(target_, convolution, way.graph, choice);
}

std::vector<Planned> Planner::until_one_fits() const {
  std::vector<Planned> list;
  for (const auto& [way, choice] : attempts_of(device_, step_)) {
    list.push_back({way, plan(way, choice)});
    if (*list.back().plan) break;
  }
  return list;
}

std::vector<Planned> Planner::candidates() const {
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

std::string Planned::name() const {
  return std::string(way.name) + " " + std::to_string(plan->engine()) + " " + std::to_string(plan->number());
}

std::optional<Planned> Planner::named(const std::string& name) const {
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
