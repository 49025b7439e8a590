// Convolutions by tiles in bf16, by AMX and by every vector that takes its place, against the plain sum in double of
// the same rounded values and weights: GoogLeNet's shapes, odd ones, slices of wider buffers whose neighbours are NaN,
// and 1 to 3 threads.
#include <algorithm>
#include <vector>

#include "check.h"
#include "tiles.h"

namespace test {
namespace {

struct Problem {
  int kernel_h, kernel_w, pad_h, pad_w, n, inputs, outputs, h, w;
  bool bias, relu;
  int stride = 1;
  bool planar = false;
};

constexpr uint16_t kNaN = 0x7fc1;
constexpr int64_t kWeightsAt = 16;
constexpr int kMostChecked = 3000;  // outputs of a large problem, at random

class Case {
 public:
  Case(const Problem& p, const TileKernels& kernels)
      : p(p),
        kernels(kernels),
        name(kernels.name + std::string(" ") + std::to_string(p.kernel_h) + "x" + std::to_string(p.kernel_w) + " pad " +
             std::to_string(p.pad_h) + "," + std::to_string(p.pad_w) + " stride " + std::to_string(p.stride) + ", " +
             std::to_string(p.n) + "x" + std::to_string(p.inputs) + "->" + std::to_string(p.outputs) + " " +
             std::to_string(p.h) + "x" + std::to_string(p.w) + (p.planar ? " planar" : "")),
        src(tensor(p.inputs, p.h, p.w, p.planar)),
        dst(tensor(p.outputs, (p.h + 2 * p.pad_h - p.kernel_h) / p.stride + 1,
                   (p.w + 2 * p.pad_w - p.kernel_w) / p.stride + 1, false)) {
    step.op = GN_CONV, step.name = "conv";
    gn_attributes& a = step.attributes;
    a.kernel_h = p.kernel_h, a.kernel_w = p.kernel_w, a.pad_h = p.pad_h, a.pad_w = p.pad_w, a.relu = p.relu;
    a.stride_h = a.stride_w = p.stride, a.dilation_h = a.dilation_w = a.groups = 1;
    const int64_t weights = int64_t(dst.span) * src.span * taps();
    step.weights = {kWeightsAt, weights};
    step.bias = {p.bias ? kWeightsAt + weights : -1, p.bias ? dst.span : 0};
    parameters.assign(size_t(kWeightsAt + weights + dst.span), 0);
    std::normal_distribution<float> normal;
    for (int o = 0; o < p.outputs; o++) {
      for (int i = 0; i < p.inputs * taps(); i++) parameters[weight(o, i / taps(), i % taps())] = normal(random());
      parameters[size_t(kWeightsAt + weights + o)] = normal(random());
    }
    rounded = parameters;
    for (float& value : rounded) value = from_bf16(to_bf16(value));
  }

  void forward() {
    fill(src);
    step.src = src, step.dst = dst;
    run(dst);
    check_sums(dst, [&](int n, int o, int y, int x, const auto& add) {
      for (int ky = 0; ky < p.kernel_h; ky++)
        for (int kx = 0; kx < p.kernel_w; kx++) {
          const int sy = y * p.stride - p.pad_h + ky, sx = x * p.stride - p.pad_w + kx;
          if (sy < 0 || sy >= p.h || sx < 0 || sx >= p.w) continue;
          for (int i = 0; i < p.inputs; i++)
            add(double(from_bf16(arena[at(src, n, i, sy, sx)])) * rounded[weight(o, i, ky * p.kernel_w + kx)]);
        }
      if (p.bias) add(parameters[size_t(step.bias.offset + o)]);
    });
  }

  void backward_data() {
    fill(dst);
    step.direction = GN_BACKWARD_DATA, step.training = 1;
    step.diff_src = src, step.diff_dst = dst;
    step.attributes.relu = 1;  // not its business
    run(src);
    check_sums(src, [&](int n, int i, int y, int x, const auto& add) {
      for (int ky = 0; ky < p.kernel_h; ky++)
        for (int kx = 0; kx < p.kernel_w; kx++) {
          const int dy = y + p.pad_h - ky, dx = x + p.pad_w - kx;
          if (dy < 0 || dy >= dst.h || dx < 0 || dx >= dst.w) continue;
          for (int o = 0; o < p.outputs; o++)
            add(double(from_bf16(arena[at(dst, n, o, dy, dx)])) * rounded[weight(o, i, ky * p.kernel_w + kx)]);
        }
    });
  }

 private:
  int taps() const { return p.kernel_h * p.kernel_w; }
  size_t weight(int o, int i, int tap) const {
    return size_t(kWeightsAt + (int64_t(o) * src.span + i) * taps() + tap);
  }

  gn_tensor tensor(int c, int h, int w, bool planar) {
    gn_tensor t{};
    t.arena = GN_ACTIVATIONS, t.type = GN_BF16, t.planar = planar;
    t.n = p.n, t.c = c, t.h = h, t.w = w;
    t.span = planar ? c : (c + 15) / 16 * 16;
    t.channel = planar ? 0 : 16 * pick(0, 2);
    t.channels = t.channel + t.span + (planar ? 0 : 16 * pick(0, 2));
    t.offset = int64_t(arena.size()) * 2;
    arena.resize(arena.size() + (size_t(t.n) * t.channels * h * w + 63) / 32 * 32, kNaN);
    return t;
  }
  static size_t at(const gn_tensor& t, int n, int c, int y, int x) { return size_t(element_at(t, 16, n, c, y, x)); }
  void fill(const gn_tensor& t) {
    std::normal_distribution<float> normal;
    Bench::each(t, t.span, [&](int n, int c, int y, int x) {
      arena[at(t, n, c, y, x)] = c < t.c ? to_bf16(normal(random())) : 0;
    });
  }

  void run(const gn_tensor& output) {
    const std::vector<uint16_t> before = arena;
    std::vector<uint16_t> first;
    for (int threads = 1; threads <= 3; threads++) {
      arena = before;
      check(run_tiles(kernels, step, threads, parameters.data(), arena.data()) == ":bf16", name + ": implementation");
      if (threads == 1) first = arena;
      check(first == arena, name + ": " + std::to_string(threads) + " threads give other bits");
    }
    std::vector<uint16_t> untouched = arena;
    bool zero = true;
    Bench::each(output, output.span, [&](int n, int c, int y, int x) {
      const size_t i = at(output, n, c, y, x);
      zero &= c < output.c || arena[i] == 0;
      untouched[i] = before[i];
    });
    check(untouched == before, name + ": wrote outside its output");
    check(zero, name + ": padding is not 0");
  }

  /** A value may be wrong by its rounding to bf16, and by that of an f32 sum of terms so large. */
  template <class Sum>
  void check_sums(const gn_tensor& t, const Sum& sum) {
    const int64_t count = int64_t(t.n) * t.c * t.h * t.w;
    double worst = 0;
    for (int64_t k = 0; k < std::min<int64_t>(count, kMostChecked); k++) {
      const int64_t i = count <= kMostChecked ? k : int64_t(random()() % uint64_t(count));
      const int x = int(i % t.w), y = int(i / t.w % t.h), c = int(i / t.w / t.h % t.c), n = int(i / t.w / t.h / t.c);
      double want = 0, size = 0;
      sum(n, c, y, x, [&](double term) { want += term, size += std::fabs(term); });
      if (step.direction == GN_FORWARD && p.relu) want = std::max(want, 0.0);
      const double error = std::fabs(from_bf16(arena[at(t, n, c, y, x)]) - want);
      const double share = error / (std::fabs(want) / 256 + size * 1e-6 + 1e-30);
      if (!(share <= worst)) worst = share;
    }
    check(worst <= 1, name + (step.direction == GN_FORWARD ? " forward" : " backward") + ": error " +
                          std::to_string(worst) + " of what is allowed");
  }

  const Problem p;
  const TileKernels& kernels;
  const std::string name;
  std::vector<uint16_t> arena;
  std::vector<float> parameters, rounded;
  const gn_tensor src, dst;
  gn_step step{};
};

const std::vector<const TileKernels*>& ways() {
  static const std::vector<const TileKernels*> all = usable_tiles();
  return all;
}
/** On everything this processor can multiply with, forward and backward. */
void both(const Problem& p) {
  for (const TileKernels* kernels : ways()) {
    Case(p, *kernels).forward();
    if (!p.planar) Case(p, *kernels).backward_data();
  }
}

/** By module of GoogLeNet: map, inputs, the three merged 1x1, and the other branches. */
struct Module {
  int size, inputs, three_reduce, five_reduce, one, three, five, pool;
};
constexpr Module kModules[] = {
    {28, 192, 96, 16, 64, 128, 32, 32},      {28, 256, 128, 32, 128, 192, 96, 64},
    {14, 480, 96, 16, 192, 208, 48, 64},     {14, 512, 112, 32, 160, 224, 64, 64},
    {14, 512, 128, 32, 128, 256, 64, 64},    {14, 512, 144, 32, 112, 288, 64, 64},
    {14, 528, 160, 32, 256, 320, 128, 128},  {7, 832, 160, 32, 256, 320, 128, 128},
    {7, 832, 192, 48, 384, 384, 128, 128},
};

void network_shapes() {
  for (const int n : {1, 2, 8}) {
    for (const Module& m : kModules) {
      if (n == 8 && m.size > 7) continue;
      both({1, 1, 0, 0, n, m.inputs, m.three_reduce + m.five_reduce + m.one, m.size, m.size, true, true});
      both({3, 3, 1, 1, n, m.three_reduce, m.three, m.size, m.size, true, true});
      both({5, 5, 2, 2, n, m.five_reduce, m.five, m.size, m.size, true, true});
      both({1, 1, 0, 0, n, m.inputs, m.pool, m.size, m.size, true, true});
    }
    if (n > 2) continue;
    both({1, 1, 0, 0, n, 64, 64, 56, 56, true, true});
    both({3, 3, 1, 1, n, 64, 192, 56, 56, true, true});
    both({7, 7, 3, 3, n, 3, 64, 224, 224, true, true, 2, true});
  }
}

}  // namespace

void tiles_tests() {
  if (ways().size() > 1) network_shapes();  // portable code alone, perhaps emulated, would take many minutes
  for (int kernel = 1; kernel <= 7; kernel++)
    for (int pad = 0; pad <= 3; pad++)
      for (int i = 0; i < 6; i++) {
        const int h = pick(std::max(1, kernel - 2 * pad), 9), w = pick(std::max(1, kernel - 2 * pad), 9);
        both({kernel, kernel, pad, pad, pick(1, 9), pick(1, 100), pick(1, 100), h, w, i % 3 > 0, i % 2 > 0});
      }
  for (int i = 0; i < 60; i++) {
    const int kernel_h = pick(1, 7), kernel_w = pick(1, 7), pad_h = pick(0, 3), pad_w = pick(0, 3);
    const int h = pick(std::max(1, kernel_h - 2 * pad_h), 20), w = pick(std::max(1, kernel_w - 2 * pad_w), 40);
    both({kernel_h, kernel_w, pad_h, pad_w, pick(1, 5), pick(1, 70), pick(1, 70), h, w, i % 3 > 0, i % 2 > 0});
    both({kernel_h, kernel_w, pad_h, pad_w, pick(1, 5), pick(1, 4), pick(1, 70), h, w, i % 3 > 0, i % 2 > 0,
          pick(1, 3), true});
  }
}

}  // namespace test
