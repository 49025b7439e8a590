// Convolutions by tiles of bytes against whole numbers, on everything this processor can multiply them with. Steps are
// powers of two and weights whole numbers of them, so nothing is rounded but the result, and every byte is known.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.h"
#include "tiles.h"

namespace test {
namespace {

struct Problem {
  int kernel, pad, n, inputs, outputs, h, w;
  bool bias, extreme;  // extreme: all bytes are 255 and weights of 127, whose sums in 16 bits would be cut
};

constexpr int64_t kWeightsAt = 16;

class Case {
 public:
  explicit Case(const Problem& p)
      : p(p),
        name("bytes " + std::to_string(p.kernel) + "x" + std::to_string(p.kernel) + " pad " + std::to_string(p.pad) + ", " +
             std::to_string(p.n) + "x" + std::to_string(p.inputs) + "->" + std::to_string(p.outputs) + " " +
             std::to_string(p.h) + "x" + std::to_string(p.w) + (p.extreme ? " extreme" : "")),
        src(tensor(p.inputs, p.h, p.w, src_steps)),
        dst(tensor(p.outputs, p.h + 2 * p.pad - p.kernel + 1, p.w + 2 * p.pad - p.kernel + 1, dst_steps)) {
    step.op = GN_CONV, step.name = "conv";
    gn_attributes& a = step.attributes;
    a.kernel_h = a.kernel_w = p.kernel, a.pad_h = a.pad_w = p.pad, a.relu = 1;
    a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = a.groups = 1;
    step.weights = {kWeightsAt, int64_t(dst.span) * src.span * taps()};
    step.bias = {p.bias ? kWeightsAt + step.weights.size : -1, p.bias ? dst.span : 0};
    parameters.assign(size_t(kWeightsAt + step.weights.size + dst.span), 0);
    factors.assign(size_t(step.weights.size), 0);
    for (int o = 0; o < p.outputs; o++) {
      const float unit = std::ldexp(1.0f, pick(-12, -8));
      for (int k = 0; k < p.inputs * taps(); k++) {
        const int factor = p.extreme || k == 0 ? 127 : pick(-127, 127);
        factors[weight(o, k)] = factor;
        parameters[size_t(kWeightsAt) + weight(o, k)] = float(factor) * unit / src_steps[size_t(k / taps())];
      }
      units.push_back(unit);
      // Sums are spread over some hundreds of steps of the output.
      const double spread = p.extreme ? 255.0 * 127 * p.inputs * taps() : 255.0 * 40 * std::sqrt(p.inputs * taps());
      dst_steps[size_t(o)] = std::ldexp(unit, int(std::ceil(std::log2(spread / 200))));
      if (p.bias) parameters[size_t(step.bias.offset + o)] = float(pick(-60, 60)) * dst_steps[size_t(o)];
    }
    Bench::each(src, src.span, [&](int n, int c, int y, int x) {
      arena[at(src, n, c, y, x)] = uint8_t(c >= p.inputs ? 0 : p.extreme ? 255 : pick(0, 255));
    });
    src.scales = src_steps.data(), dst.scales = dst_steps.data();
    step.src = src, step.dst = dst;
  }

  void run(const TileKernels& kernels) {
    const std::vector<uint8_t> before = arena;
    for (int threads = 1; threads <= 2; threads++) {
      arena = before;
      const std::string title = kernels.name + std::string(" ") + name;
      check(run_tiles(kernels, step, threads, parameters.data(), arena.data()) == ":int8", title + ": implementation");
      std::vector<uint8_t> wanted = before;
      Bench::each(dst, dst.span, [&](int n, int o, int y, int x) {
        wanted[at(dst, n, o, y, x)] = o < p.outputs ? expected(before, n, o, y, x) : 0;
      });
      int wrong = 0;
      for (size_t i = 0; i < arena.size(); i++) wrong += arena[i] != wanted[i];
      check(wrong == 0, title + ": " + std::to_string(wrong) + " wrong bytes, " + std::to_string(threads) + " threads");
    }
  }

 private:
  int taps() const { return p.kernel * p.kernel; }
  size_t weight(int o, int k) const { return size_t(o) * size_t(src.span * taps()) + size_t(k); }

  uint8_t expected(const std::vector<uint8_t>& from, int n, int o, int y, int x) const {
    int64_t sum = 0;
    for (int i = 0; i < p.inputs; i++)
      for (int t = 0; t < taps(); t++) {
        const int sy = y - p.pad + t / p.kernel, sx = x - p.pad + t % p.kernel;
        if (sy < 0 || sy >= p.h || sx < 0 || sx >= p.w) continue;
        sum += int64_t(factors[weight(o, i * taps() + t)]) * from[at(src, n, i, sy, sx)];
      }
    const double bias = p.bias ? parameters[size_t(step.bias.offset + o)] : 0;
    const double value = (double(sum) * units[size_t(o)] + bias) / dst_steps[size_t(o)];
    return uint8_t(std::nearbyint(std::clamp(value, 0.0, 255.0)));
  }

  gn_tensor tensor(int c, int h, int w, std::vector<float>& steps) {
    gn_tensor t{};
    t.arena = GN_ACTIVATIONS, t.type = GN_U8;
    t.n = p.n, t.c = c, t.h = h, t.w = w;
    t.span = (c + 15) / 16 * 16;
    t.channel = 16 * pick(0, 2);
    t.channels = t.channel + t.span + 16 * pick(0, 2);
    t.offset = int64_t(arena.size());
    arena.resize(arena.size() + (size_t(t.n) * t.channels * h * w + 127) / 64 * 64, 0x5a);
    for (int i = 0; i < t.span; i++) steps.push_back(std::ldexp(1.0f, pick(-3, 0)));
    return t;
  }
  static size_t at(const gn_tensor& t, int n, int c, int y, int x) { return size_t(element_at(t, 16, n, c, y, x)); }

  const Problem p;
  const std::string name;
  std::vector<uint8_t> arena;
  std::vector<float> src_steps, dst_steps, parameters, units;
  std::vector<int> factors;
  gn_tensor src, dst;
  gn_step step{};
};

}  // namespace

void bytes_tests() {
  const auto all = usable_tiles();
  const auto on_all = [&](const Problem& p) {
    Case problem(p);
    for (const TileKernels* kernels : all) problem.run(*kernels);
  };
  for (const bool extreme : {false, true}) {
    on_all({1, 0, 2, 480, 64, 7, 7, true, extreme});
    on_all({3, 1, 1, 48, 33, 14, 14, true, extreme});
    on_all({5, 2, 3, 16, 40, 28, 11, true, extreme});
  }
  for (int i = 0; i < 60; i++) {
    const int kernel = pick(1, 5), pad = pick(0, kernel / 2), most = 500 / (kernel * kernel);  // sums that f32 holds
    const int h = pick(std::max(1, kernel - 2 * pad), 12), w = pick(std::max(1, kernel - 2 * pad), 20);
    on_all({kernel, pad, pick(1, 4), pick(1, std::min(most, 150)), pick(1, 70), h, w, i % 3 > 0, i % 10 == 0});
  }
}

}  // namespace test
