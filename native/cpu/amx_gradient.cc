// Backward weights by AMX. Threads divide the gradient, never the sum over pixels, so that results do not depend on
// their number; each packs what its part reads for itself, because a copy in its own cache is nearer than one that
// another thread made.
#include "cpu/amx_gradient.h"

#include <algorithm>
#include <vector>

#include "backend/scratch.h"
#include "cpu/simd/amx-gradient.h"
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace googlenet::cpu {
namespace {

bool has_amx() {
#if defined(__x86_64__) && defined(__linux__)
  static const bool has = [] {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1)) return false;
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XTILEDATA */) == 0;
  }();
  return has;
#else
  return false;
#endif
}

AmxMaps maps_of(const gn_tensor& t, int top, int left) {
  const int64_t pixels = int64_t(t.h) * t.w;
  return {t.channels * pixels, t.planar ? pixels : pixels * 16, t.h, t.w, top, left};
}

AmxGradientShape shape_of(const gn_step& step) {
  const gn_attributes& a = step.attributes;
  AmxGradientShape s = {};
  s.src = maps_of(step.src, a.pad_h, a.pad_w), s.diff_dst = maps_of(step.diff_dst, 0, 0);
  s.images = step.src.n, s.taps_h = a.kernel_h, s.taps_w = a.kernel_w;
  s.inputs = step.src.span / 16, s.outputs = step.diff_dst.span / 16;
  if (s.taps_h == 1 && s.taps_w == 1 && !a.pad_h && !a.pad_w)
    for (AmxMaps* maps : {&s.src, &s.diff_dst}) maps->w *= maps->h, maps->h = 1;  // no row ends anywhere
  s.pitch = std::max(s.src.left + s.src.w, s.diff_dst.w);
  s.rows = std::max(s.src.top + s.src.h, s.diff_dst.h);
  const int64_t positions = (int64_t(s.images - 1) * s.rows + s.diff_dst.h) * s.pitch;
  s.steps = (positions + 31) / 32;
  return s;
}

/** The share `index` of `count`, of [0, size). */
void cut(int size, int index, int count, int (&range)[2]) {
  range[0] = size * index / count, range[1] = size * (index + 1) / count;
}

/** The division among `threads` whose largest part takes the least time, in cycles of a step: packing a block of
 *  outputs, of inputs, a tile's product. */
std::vector<AmxGradientPart> parts_of(const AmxGradientShape& s, int threads) {
  const int taps = s.taps_h * s.taps_w, sizes[3] = {s.outputs, s.inputs, taps};
  int best[3] = {1, 1, 1};
  double least = 1e30;
  for (int o = 1; o <= std::min(threads, s.outputs); o++) {
    for (int i = 1; i * o <= threads && i <= s.inputs; i++) {
      const int t = std::min(threads / (o * i), taps), counts[3] = {o, i, t};
      double largest[3];
      for (int k = 0; k < 3; k++) largest[k] = (sizes[k] + counts[k] - 1) / counts[k];
      const double time =
          200 * largest[0] + (taps > 1 ? 200 : 120) * largest[1] + 18 * largest[0] * largest[1] * largest[2];
      if (time < least) least = time, std::copy_n(counts, 3, best);
    }
  }
  std::vector<AmxGradientPart> parts;
  for (int p = 0; p < best[0] * best[1] * best[2]; p++) {
    AmxGradientPart part;
    cut(s.outputs, p % best[0], best[0], part.output);
    cut(s.inputs, p / best[0] % best[1], best[1], part.input);
    cut(taps, p / best[0] / best[1], best[2], part.tap);
    parts.push_back(part);
  }
  return parts;
}

class AmxGradient : public gn_kernel {
 public:
  AmxGradient(gn_device& device, const gn_step& step)
      : pool_(*device.pool), step_(step), shape_(shape_of(step)), parts_(parts_of(shape_, pool_.threads())) {
    implementation = "amx:bf16";
    Scratch scratch;
    for (const AmxGradientPart& part : parts_)
      scratch_at_.push_back(scratch.add(avx512_bf16::amx_gradient_scratch(shape_, part)));
    scratch_bytes = scratch.bytes();
  }

  void run(const gn_bindings& b) override {
    float* bias = step_.bias.offset < 0 ? nullptr : b.gradients + step_.bias.offset;
    pool_.ranges(int64_t(parts_.size()), [&](int64_t first, int64_t last) {
      for (int64_t p = first; p < last; p++) {
        const AmxGradientPart& part = parts_[size_t(p)];
        const bool sums = part.input[0] == 0 && part.tap[0] == 0;
        avx512_bf16::amx_gradient(shape_, part, start(step_.src, b), start(step_.diff_dst, b),
                                  b.gradients + step_.weights.offset, sums ? bias : nullptr,
                                  Scratch::at(b, scratch_at_[size_t(p)]));
      }
    });
  }

 private:
  static const uint16_t* start(const gn_tensor& t, const gn_bindings& b) {
    const char* arena = static_cast<const char*>(b.arenas[t.arena]);
    return reinterpret_cast<const uint16_t*>(arena + t.offset) + int64_t(t.channel) * t.h * t.w;
  }

  ThreadPool& pool_;
  const gn_step step_;
  const AmxGradientShape shape_;
  const std::vector<AmxGradientPart> parts_;
  std::vector<int64_t> scratch_at_;
};

}  // namespace

Kernel make_amx_gradient(gn_device& device, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  if (!has_amx() || device.block != 16 || step.direction != GN_BACKWARD_WEIGHTS) return nullptr;
  if (step.src.type != GN_BF16 || step.diff_dst.type != GN_BF16 || step.src.planar) return nullptr;
  if (a.groups != 1 || a.dilation_h != 1 || a.dilation_w != 1 || a.stride_h != 1 || a.stride_w != 1) return nullptr;
  if (a.kernel_h * a.kernel_w > 64) return nullptr;
  return std::make_unique<AmxGradient>(device, step);
}

}  // namespace googlenet::cpu
