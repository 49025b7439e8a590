// What the native tests share: counted checks, and a Bench that lays tensors out as slices of wide buffers in one arena
// of NaN, runs a step on 1, 2 and 3 threads, and checks that the bits agree, that padding is 0 and that nothing but the
// named outputs was written.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cpu/element.h"
#include "cpu/kernel.h"

namespace test {

inline int passed = 0, failed = 0;
inline void check(bool good, const std::string& what) {
  if (good) {
    passed++;
  } else if (++failed <= 40) {
    std::printf("FAILED %s\n", what.c_str());
  }
}

inline std::mt19937& random() {
  static std::mt19937 engine(1);
  return engine;
}
inline int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random()); }

inline uint16_t to_bf16(float value) {
  googlenet::cpu::Bf16 half;
  googlenet::cpu::assign(half, value);
  return half.bits;
}
inline float from_bf16(uint16_t bits) { return googlenet::cpu::to_float(googlenet::cpu::Bf16{bits}); }

using Values = std::vector<double>;  // (n, c, h, w), logical

/** Elements from the arena's start to one of a view's. */
inline int64_t element_at(const gn_tensor& t, int block, int n, int c, int y, int x) {
  const int b = t.planar ? 1 : block, physical = t.channel + c;
  return t.offset / gn_bytes_of(t.type) +
         ((int64_t(n) * t.channels / b + physical / b) * t.h * t.w + int64_t(y) * t.w + x) * b + physical % b;
}

struct Bench {
  Bench(googlenet::Isa isa, std::string name) : isa(isa), block(googlenet::block_of(isa)), name(std::move(name)) {
    this->name += std::string(" ") + googlenet::isa_name(isa);
  }

  gn_device device(int threads) const {
    gn_device device{};
    device.pool = std::make_shared<googlenet::ThreadPool>(threads);
    device.isa = isa, device.block = block;
    return device;
  }

  gn_tensor tensor(int n, int c, int h, int w, bool planar = false) {
    gn_tensor t{};
    t.arena = GN_ACTIVATIONS, t.planar = planar;
    t.n = n, t.c = c, t.h = h, t.w = w;
    t.span = planar ? c : (c + block - 1) / block * block;
    t.channel = planar ? 0 : block * pick(0, 2);
    t.channels = t.channel + t.span + (planar ? 0 : block * pick(0, 2));
    t.offset = int64_t(arena.size()) * 4;
    const size_t size = size_t(n) * t.channels * h * w;
    arena.resize(arena.size() + (size + 15) / 16 * 16, std::numeric_limits<float>::quiet_NaN());
    return t;
  }

  int64_t at(const gn_tensor& t, int n, int c, int y, int x) const { return element_at(t, block, n, c, y, x); }

  static void each(const gn_tensor& t, int channels, const std::function<void(int, int, int, int)>& body) {
    for (int n = 0; n < t.n; n++)
      for (int c = 0; c < channels; c++)
        for (int y = 0; y < t.h; y++)
          for (int x = 0; x < t.w; x++) body(n, c, y, x);
  }

  /** Random values, with ties when `coarse`; returns them as read back. */
  Values fill(const gn_tensor& t, bool coarse = false) {
    std::normal_distribution<float> normal;
    each(t, t.span, [&](int n, int c, int y, int x) {
      arena[at(t, n, c, y, x)] = c >= t.c ? 0 : coarse ? float(pick(-2, 2)) : normal(random());
    });
    return read(t, arena);
  }

  Values read(const gn_tensor& t, const std::vector<float>& from) {
    Values values;
    each(t, t.span, [&](int n, int c, int y, int x) {
      const float v = from[at(t, n, c, y, x)];
      if (c < t.c)
        values.push_back(v);
      else if (v != 0)
        check(false, name + ": padding is not 0");
    });
    return values;
  }

  using Make = googlenet::cpu::Kernel (*)(gn_device&, const gn_step&);

  /** Runs the step on 1 to 3 threads; afterwards `arena` and `gradients` hold the result. */
  void run(Make make, const gn_step& step, const std::vector<gn_tensor>& outputs, const char* kind = "own:") {
    const std::vector<float> before = arena;
    std::vector<float> first, first_results, first_gradients;
    for (int threads = 1; threads <= 3; threads++) {
      arena = before;
      gn_device d = device(threads);
      const auto kernel = make(d, step);
      check(kernel->implementation == std::string(kind) + googlenet::isa_name(isa), name + ": implementation");
      scratch.assign(size_t(kernel->scratch_bytes / 4), std::numeric_limits<float>::quiet_NaN());
      gradients.assign(parameters.size(), std::numeric_limits<float>::quiet_NaN());
      kernel->sync(bindings());
      kernel->run(bindings());
      if (threads == 1) first = arena, first_results.assign(results, results + 8), first_gradients = gradients;
      check(!std::memcmp(first.data(), arena.data(), arena.size() * 4) &&
                !std::memcmp(first_gradients.data(), gradients.data(), gradients.size() * 4) &&
                !std::memcmp(first_results.data(), results, sizeof results),
            name + ": " + std::to_string(threads) + " threads give other bits");
    }
    std::vector<float> untouched = arena;
    for (const gn_tensor& t : outputs)
      each(t, t.span, [&](int n, int c, int y, int x) { untouched[at(t, n, c, y, x)] = before[at(t, n, c, y, x)]; });
    if (step.workspace.arena != GN_NONE && step.direction == GN_FORWARD)
      std::memcpy(reinterpret_cast<char*>(untouched.data()) + step.workspace.offset,
                  reinterpret_cast<const char*>(before.data()) + step.workspace.offset,
                  size_t(step.workspace.n) * step.workspace.span * step.workspace.h * step.workspace.w);
    check(!std::memcmp(untouched.data(), before.data(), before.size() * 4), name + ": wrote outside its output");
  }

  gn_bindings bindings() {
    gn_bindings b{};
    b.arenas[GN_ACTIVATIONS] = arena.data();
    b.parameters = parameters.data(), b.gradients = gradients.data();
    b.scratch = scratch.data();
    b.labels = labels.data();
    b.results = results;
    b.seed = 0x123456789abcdefull, b.step = 7, b.version = 1;
    return b;
  }

  /** Every |got - want| <= tolerance * (|want| + floor). */
  void near(const gn_tensor& t, const Values& want, double tolerance, double floor = 1e-3) {
    const Values got = read(t, arena);
    double worst = 0;
    for (size_t i = 0; i < want.size(); i++) {
      const double error = std::fabs(got[i] - want[i]) / (std::fabs(want[i]) + floor);
      if (!(error <= worst)) worst = error;
    }
    check(got.size() == want.size() && worst <= tolerance,
          name + ": relative error " + std::to_string(worst * 1e6) + "e-6");
  }

  googlenet::Isa isa;
  int block;
  std::string name;
  std::vector<float> arena, scratch, parameters, gradients;
  std::vector<int32_t> labels;
  float results[8] = {0};
};

/** All instruction sets of this processor; of the build with generic vectors, those and the portable one. */
inline std::vector<googlenet::Isa> isas() {
  if (std::getenv("GOOGLENET_TEST_WIDE")) return {googlenet::Isa::portable, googlenet::Isa::avx512};
  std::vector<googlenet::Isa> list = {googlenet::Isa::portable};
  if (googlenet::effective_isa() >= googlenet::Isa::avx2) list.push_back(googlenet::Isa::avx2);
  if (googlenet::effective_isa() >= googlenet::Isa::avx512) list.push_back(googlenet::Isa::avx512);
  return list;
}

/** Caffe's end of a gradient: accumulation, then the mask of the fused ReLU. */
inline Values finish(Values diff, const Values& before, const Values* mask) {
  for (size_t i = 0; i < diff.size(); i++) {
    if (!before.empty()) diff[i] += before[i];
    if (mask && (*mask)[i] <= 0) diff[i] = 0;
  }
  return diff;
}

void pool_tests();
void lrn_tests();
void small_tests();  // dropout, softmax, loss, mask, sum
void flat_tests();   // optimisers, transfer
void store_tests();  // parameter store
void winograd_tests();
void tiles_tests();
void bytes_tests();
void amx_gradient_tests();
void thread_tests();
void bf16_tests();
void lane_tests();  // steps side by side

}  // namespace test
