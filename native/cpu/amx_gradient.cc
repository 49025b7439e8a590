// Backward weights by AMX. Threads divide the gradient, never the sum over pixels, so that results do not depend on
// their number; each packs what its part reads for itself, because a copy in its own cache is nearer than one that
// another thread made.
#include <algorithm>
#include <numeric>
#include <vector>

#include "backend/scratch.h"
#include "cpu/simd/amx-gradient.h"
#include "cpu/tiles.h"
#include "cpu/view.h"

namespace googlenet::cpu {
namespace {

AmxMaps maps_of(const gn_tensor& t, int top, int left) {
  const int64_t pixels = int64_t(t.h) * t.w;
  return {t.channels * pixels, t.planar ? pixels : pixels * 16, t.h, t.w, top, left};
}

AmxGradientShape shape_of(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  AmxGradientShape s = {};
  s.src = maps_of(step.src, a.pad_h, a.pad_w), s.diff_dst = maps_of(step.diff_dst, 0, 0);
  s.images = step.src.n, s.taps_h = a.kernel_h, s.taps_w = a.kernel_w;
  s.outputs = step.diff_dst.span / 16;
  s.stride_w = a.stride_w;
  if (step.src.planar) {
    s.planar = true, s.inputs = step.src.c;
    s.pitch = (s.diff_dst.w + 1) / 2 * 2, s.rows = s.diff_dst.h + (s.taps_h - 1) / 2;
  } else {
    s.inputs = step.src.span / 16;
    if (s.taps_h == 1 && s.taps_w == 1 && !a.pad_h && !a.pad_w)
      for (AmxMaps* maps : {&s.src, &s.diff_dst}) maps->w *= maps->h, maps->h = 1;  // no row ends anywhere
    s.pitch = std::max(s.src.left + s.src.w, s.diff_dst.w);
    s.rows = std::max(s.src.top + s.src.h, s.diff_dst.h);
  }
  const int64_t positions = (int64_t(s.images - 1) * s.rows + s.diff_dst.h) * s.pitch;
  s.steps = (positions + 31) / 32;
  return s;
}

int taps_of(const AmxGradientShape& s) { return s.planar ? (s.taps_h + 1) / 2 : s.taps_h * s.taps_w; }

/** Cycles of a step: packing blocks of outputs and of inputs, and their products. */
double cost(const AmxGradientShape& s, double outputs, double inputs, double taps) {
  return 170 * outputs + (taps_of(s) > 1 ? 200 : 110) * inputs + 17 * outputs * inputs * taps;
}

/** Ranges of steps that are summed apart, so that threads can divide them and none packs what another does. A matter of
 *  the shape alone: the sums must not depend on the threads. */
int ranges_of(const AmxGradientShape& s) {
  constexpr int kRanges = 4;
  const double tiles = double(s.outputs) * s.inputs * taps_of(s), adding = 150 * kRanges * tiles;
  const double half = cost(s, s.outputs, s.inputs, taps_of(s)) / 2;
  const double divided =
      std::min(cost(s, (s.outputs + 1) / 2, s.inputs, taps_of(s)), cost(s, s.outputs, (s.inputs + 1) / 2, taps_of(s)));
  return s.steps >= 8 * kRanges && (divided - half) * double(s.steps) > adding ? kRanges : 1;
}

/** The share `index` of `count`, of [0, size). */
template <class Integer>
void cut(Integer size, int index, int count, Integer (&range)[2]) {
  range[0] = size * index / count, range[1] = size * (index + 1) / count;
}

/** Every range of steps in as many parts as give each thread the same number of them, divided so that the largest takes
 *  the least time. */
std::vector<AmxGradientPart> parts_of(const AmxGradientShape& s, int ranges, int threads) {
  const int wanted = threads / std::gcd(threads, ranges), sizes[3] = {s.outputs, s.inputs, taps_of(s)};
  int best[3] = {1, 1, 1};
  double least = 1e30;
  for (int o = 1; o <= std::min(wanted, s.outputs); o++) {
    for (int i = 1; i * o <= wanted && i <= s.inputs; i++) {
      const int counts[3] = {o, i, std::min(wanted / (o * i), sizes[2])};
      int largest[3];
      for (int k = 0; k < 3; k++) largest[k] = (sizes[k] + counts[k] - 1) / counts[k];
      const double time = cost(s, largest[0], largest[1], largest[2]);
      if (time < least) least = time, std::copy_n(counts, 3, best);
    }
  }
  std::vector<AmxGradientPart> parts;
  for (int range = 0; range < ranges; range++) {
    for (int p = 0; p < best[0] * best[1] * best[2]; p++) {
      AmxGradientPart part;
      cut(s.outputs, p % best[0], best[0], part.output);
      cut(s.inputs, p / best[0] % best[1], best[1], part.input);
      cut(sizes[2], p / best[0] / best[1], best[2], part.tap);
      cut(s.steps, range, ranges, part.step);
      parts.push_back(part);
    }
  }
  return parts;
}

class AmxGradient : public gn_kernel {
 public:
  AmxGradient(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        step_(step),
        shape_(shape_of(step)),
        ranges_(ranges_of(shape_)),
        parts_(parts_of(shape_, ranges_, pool_.threads())),
        tiles_(int64_t(shape_.outputs) * shape_.inputs * taps_of(shape_) * 256) {
    implementation = "amx:bf16";
    for (const AmxGradientPart& part : parts_)
      part_bytes_ = std::max(part_bytes_, avx512_bf16::amx_gradient_scratch(shape_, part));
    Scratch scratch;
    packed_at_ = scratch.add(part_bytes_ * std::min<int64_t>(pool_.threads(), int64_t(parts_.size())));
    sums_at_ = scratch.add_floats(ranges_ * (tiles_ + shape_.outputs * 16));
    scratch_bytes = scratch.bytes();
  }

  void run(const gn_bindings& b) override {
    float *weights = b.gradients + step_.weights.offset, *bias = nullptr;
    if (step_.bias.offset >= 0) bias = b.gradients + step_.bias.offset;
    std::vector<AmxGradientSums> sums;
    for (int range = 0; range < ranges_; range++) {
      float* tiles = Scratch::floats(b, sums_at_) + range * (tiles_ + shape_.outputs * 16);
      sums.push_back({tiles, tiles + tiles_});
    }
    pool_.items(int64_t(parts_.size()), [&](int64_t slot, int64_t p) {
      const AmxGradientPart& part = parts_[size_t(p)];
      AmxGradientSums to = sums[size_t(p / (int64_t(parts_.size()) / ranges_))];
      if (part.input[0] || part.tap[0] || ranges_ == 1) to.bias = nullptr;
      const bool adds_bias = ranges_ == 1 && !part.input[0] && !part.tap[0];
      avx512_bf16::amx_gradient(shape_, part, start(step_.src, b), start(step_.diff_dst, b), to,
                                ranges_ == 1 ? weights : nullptr, adds_bias ? bias : nullptr,
                                static_cast<char*>(Scratch::at(b, packed_at_)) + slot * part_bytes_);
    });
    if (ranges_ == 1) return;
    pool_.ranges(shape_.outputs, [&](int64_t first, int64_t last) {
      avx512_bf16::amx_gradient_add(shape_, sums.data(), ranges_, int(first), int(last), weights, bias);
    });
  }

 private:
  static const uint16_t* start(const gn_tensor& t, const gn_bindings& b) {
    return reinterpret_cast<const uint16_t*>(static_cast<const char*>(b.arenas[t.arena]) + view_offset(t));
  }

  ThreadPool& pool_;
  const gn_step step_;
  const AmxGradientShape shape_;
  const int ranges_;
  const std::vector<AmxGradientPart> parts_;
  const int64_t tiles_;  // floats of one range's
  int64_t part_bytes_ = 0, packed_at_, sums_at_;
};

}  // namespace

Kernel make_amx_gradient(gn_device& device, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  if (step.direction != GN_BACKWARD_WEIGHTS) return nullptr;
  if (step.src.type != GN_BF16 || step.diff_dst.type != GN_BF16) return nullptr;
  if (a.groups != 1 || a.dilation_h != 1 || a.dilation_w != 1) return nullptr;
  if (step.src.planar ? a.kernel_w > 8 || a.stride_w > 8 || a.stride_h != 2
                      : a.stride_h != 1 || a.stride_w != 1 || a.kernel_h * a.kernel_w > 64)
    return nullptr;
  return std::make_unique<AmxGradient>(device, step);
}

}  // namespace googlenet::cpu
