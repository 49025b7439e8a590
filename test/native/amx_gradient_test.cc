// Backward weights by AMX against the plain sum in double over the same bf16 values.
#include <algorithm>
#include <cstdint>

#include "check.h"
#include "cpu/simd/tile-kernels.h"
#include "cpu/tiles.h"

namespace test {
namespace {

struct Shape {
  int n, inputs, outputs, h, w, taps_h, taps_w, pad_h, pad_w;
  int stride_h = 1, stride_w = 1;
  bool planar = false;
};

/** Slices of wide buffers of bf16 in one arena; what is not theirs is NaN. */
class Case {
 public:
  explicit Case(const Shape& s) : s_(s) {
    const gn_attributes a = attributes();
    const int out_h = (s.h + 2 * s.pad_h - s.taps_h) / s.stride_h + 1;
    const int out_w = (s.w + 2 * s.pad_w - s.taps_w) / s.stride_w + 1;
    step_.op = GN_CONV, step_.direction = GN_BACKWARD_WEIGHTS, step_.training = 1, step_.name = "conv";
    step_.attributes = a;
    step_.src = tensor(s.inputs, s.h, s.w, s.planar), step_.diff_dst = tensor(s.outputs, out_h, out_w, false);
    const int64_t weights = int64_t(s.outputs) * s.inputs * s.taps_h * s.taps_w;
    step_.weights = {16, weights}, step_.bias = {32 + weights, s.outputs};
    gradients_.assign(size_t(64 + weights + s.outputs), 0);
    x_ = fill(step_.src), dy_ = fill(step_.diff_dst);
    name_ = "amx gradient " + std::to_string(s.n) + "x" + std::to_string(s.inputs) + "->" + std::to_string(s.outputs) +
            " " + std::to_string(s.h) + "x" + std::to_string(s.w) + " taps " + std::to_string(s.taps_h) + "x" +
            std::to_string(s.taps_w) + " pad " + std::to_string(s.pad_h) + "," + std::to_string(s.pad_w);
  }

  void run() {
    std::vector<float> first;
    for (int threads : {1, 2, 3, 5, 8}) {
      gn_device device{};
      device.pool = std::make_shared<googlenet::ThreadPool>(threads);
      device.isa = googlenet::Isa::avx512, device.block = 16, device.tiles = &googlenet::cpu::tiles_avx512_bf16();
      const auto kernel = googlenet::cpu::make_tiles(device, step_);
      if (!kernel) return check(false, name_ + ": no kernel");
      std::vector<float> scratch(size_t(kernel->scratch_bytes / 4 + 16), std::nanf(""));
      std::fill(gradients_.begin(), gradients_.end(), std::nanf(""));
      gn_bindings b{};
      b.arenas[GN_ACTIVATIONS] = arena_.data(), b.gradients = gradients_.data();
      b.scratch = reinterpret_cast<void*>((uintptr_t(scratch.data()) + 63) / 64 * 64);
      kernel->run(b);
      if (threads == 1) first = gradients_;
      check(!std::memcmp(first.data(), gradients_.data(), first.size() * 4),
            name_ + ": " + std::to_string(threads) + " threads give other bits");
    }
    compare();
  }

 private:
  gn_attributes attributes() const {
    gn_attributes a{};
    a.kernel_h = s_.taps_h, a.kernel_w = s_.taps_w, a.pad_h = s_.pad_h, a.pad_w = s_.pad_w;
    a.stride_h = s_.stride_h, a.stride_w = s_.stride_w, a.dilation_h = a.dilation_w = a.groups = 1;
    return a;
  }
  gn_tensor tensor(int channels, int h, int w, bool planar) {
    gn_tensor t{};
    t.arena = GN_ACTIVATIONS, t.type = GN_BF16, t.planar = planar;
    t.n = s_.n, t.c = channels, t.h = h, t.w = w, t.span = channels;
    t.channel = planar ? 0 : 16 * pick(0, 2);
    t.channels = t.channel + t.span + (planar ? 0 : 16 * pick(0, 2));
    t.offset = int64_t(arena_.size()) * 2;
    arena_.resize(arena_.size() + (size_t(t.n) * t.channels * h * w + 31) / 32 * 32, 0x7fff);
    return t;
  }
  /** (n, c, h, w) as doubles. */
  Values fill(const gn_tensor& t) {
    std::normal_distribution<float> normal;
    Values values;
    Bench::each(t, t.span, [&](int n, int c, int y, int x) {
      const int block = t.planar ? 1 : 16, physical = t.channel + c;
      const int64_t plane = int64_t(t.h) * t.w;
      const int64_t at = t.offset / 2 +
                         ((int64_t(n) * t.channels / block + physical / block) * plane + y * t.w + x) * block +
                         physical % block;
      values.push_back(from_bf16(arena_[size_t(at)] = to_bf16(normal(random()))));
    });
    return values;
  }

  void compare() {
    const int out_h = step_.diff_dst.h, out_w = step_.diff_dst.w;
    double errors = 0, squares = 0, worst = 0, largest = 1e-30;
    const auto note = [&](double want, double got) {
      errors += (got - want) * (got - want), squares += want * want;
      largest = std::max(largest, std::fabs(want));
      if (!(std::fabs(got - want) <= worst)) worst = std::fabs(got - want);
    };
    const float* dw = gradients_.data() + step_.weights.offset;
    // Of a large problem some of the outputs.
    const double products = double(s_.outputs) * s_.inputs * s_.taps_h * s_.taps_w * s_.n * out_h * out_w;
    const int every = std::min(1 + int(products / 4e7), s_.outputs), chosen = pick(0, every - 1);
    for (int o = 0; o < s_.outputs; o++) {
      if (o % every != chosen) {
        dw += s_.inputs * s_.taps_h * s_.taps_w;
        continue;
      }
      double bias = 0;
      for (int n = 0; n < s_.n; n++)
        for (int p = 0; p < out_h * out_w; p++) bias += dy_[(size_t(n) * s_.outputs + o) * out_h * out_w + p];
      note(bias, gradients_[size_t(step_.bias.offset) + o]);
      for (int i = 0; i < s_.inputs; i++)
        for (int ky = 0; ky < s_.taps_h; ky++)
          for (int kx = 0; kx < s_.taps_w; kx++) note(weight(o, i, ky, kx), *dw++);
    }
    const double relative = std::sqrt(errors / std::max(squares, 1e-30));
    check(relative < 1e-5 && worst <= 1e-5 * largest, name_ + ": error " + std::to_string(relative * 1e6) +
                                                          "e-6, largest " + std::to_string(worst / largest * 1e6) +
                                                          "e-6");
    for (size_t i = 0; i < gradients_.size(); i++) {
      const int64_t at = int64_t(i);
      const bool inside = (at >= 16 && at < 16 + step_.weights.size) ||
                          (at >= step_.bias.offset && at < step_.bias.offset + step_.bias.size);
      if (!inside && !std::isnan(gradients_[i])) return check(false, name_ + ": wrote outside");
    }
  }

  double weight(int o, int i, int ky, int kx) const {
    const int out_h = step_.diff_dst.h, out_w = step_.diff_dst.w;
    double sum = 0;
    for (int n = 0; n < s_.n; n++) {
      const double* dy = dy_.data() + (size_t(n) * s_.outputs + o) * out_h * out_w;
      const double* x = x_.data() + (size_t(n) * s_.inputs + i) * s_.h * s_.w;
      for (int r = 0; r < out_h; r++) {
        const int y = r * s_.stride_h + ky - s_.pad_h;
        if (y < 0 || y >= s_.h) continue;
        for (int c = 0; c < out_w; c++) {
          const int column = c * s_.stride_w + kx - s_.pad_w;
          if (column >= 0 && column < s_.w) sum += dy[r * out_w + c] * x[y * s_.w + column];
        }
      }
    }
    return sum;
  }

  const Shape s_;
  gn_step step_{};
  std::vector<uint16_t> arena_;
  std::vector<float> gradients_;
  Values x_, dy_;
  std::string name_;
};

}  // namespace

void amx_gradient_tests() {
  if (!googlenet::has_amx()) {
    std::printf("amx gradient: skipped, this processor or system has none\n");
    return;
  }
  // GoogLeNet's: 1x1 on one input as one, then 3x3, 5x5 and the projection.
  struct Module {
    int side, inputs, outputs, three_reduce, three, five_reduce, five, projection;
  };
  const Module modules[] = {{28, 192, 176, 96, 128, 16, 32, 32},    {28, 256, 288, 128, 192, 32, 96, 64},
                            {14, 480, 304, 96, 208, 16, 48, 64},    {14, 512, 304, 112, 224, 32, 64, 64},
                            {14, 512, 288, 128, 256, 32, 64, 64},   {14, 512, 288, 144, 288, 32, 64, 64},
                            {14, 528, 448, 160, 320, 32, 128, 128}, {7, 832, 448, 160, 320, 32, 128, 128},
                            {7, 832, 624, 192, 384, 48, 128, 128}};
  for (int n : {1, 2, 5}) {
    Case({n, 3, 64, 224, 224, 7, 7, 3, 3, 2, 2, true}).run();
    Case({n, 64, 64, 56, 56, 1, 1, 0, 0}).run();
    Case({n, 64, 192, 56, 56, 3, 3, 1, 1}).run();
    for (const Module& m : modules) {
      Case({n, m.inputs, m.outputs, m.side, m.side, 1, 1, 0, 0}).run();
      Case({n, m.three_reduce, m.three, m.side, m.side, 3, 3, 1, 1}).run();
      Case({n, m.five_reduce, m.five, m.side, m.side, 5, 5, 2, 2}).run();
      Case({n, m.inputs, m.projection, m.side, m.side, 1, 1, 0, 0}).run();
    }
    Case({n, 512, 128, 4, 4, 1, 1, 0, 0}).run();
    Case({n, 528, 128, 4, 4, 1, 1, 0, 0}).run();
  }
  // Long sums, which ranges of steps divide.
  Case({3, 16, 48, 40, 41, 3, 3, 1, 1}).run();
  Case({7, 80, 16, 33, 31, 1, 1, 0, 0}).run();
  Case({2, 48, 32, 30, 61, 5, 2, 1, 0}).run();
  // Planar sources.
  for (int taps = 1; taps <= 8; taps++)
    for (int stride = 1; stride <= 4; stride++) {
      const int pad = pick(0, taps / 2), h = pick(taps, 30), w = pick(8, 90);
      Case({pick(1, 4), pick(1, 4), 16 * pick(1, 5), h, w, taps, pick(1, 8), pad, pad, 2, stride, true}).run();
    }
  for (int taps = 1; taps <= 7; taps++)
    for (int h = 1; h <= 9; h++)
      for (int pad = 0; pad <= 3; pad++) {
        const int w = pick(1, 9), taps_w = pick(0, 3) ? taps : pick(1, 7), pad_w = pick(0, 3) ? pad : pick(0, 3);
        if (h + 2 * pad < taps || w + 2 * pad_w < taps_w) continue;
        Case({pick(1, 5), 16 * pick(1, 5), 16 * pick(1, 5), h, w, taps, taps_w, pad, pad_w}).run();
      }
}

}  // namespace test
