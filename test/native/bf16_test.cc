// Loops written for bf16 and bytes as they lie in memory, against plain ones: 3x3 maxima of positive, mixed and negative
// values alone, and the paper's LRN over odd and even numbers of blocks and pixels.
#include <algorithm>

#include "check.h"
#include "cpu/pool.h"
#include "cpu/simd.h"

namespace test {
namespace {

using googlenet::cpu::Bf16;

/** The loops of one instruction set. */
struct Set {
  std::string name;
  const googlenet::cpu::ActivationKernels<Bf16>& activations;
  const googlenet::cpu::ByteKernels& bytes;
};

struct Shape {
  int blocks, h, w, stride, pad;
};

gn_tensor tensor(int blocks, int h, int w) {
  gn_tensor t{};
  t.arena = GN_ACTIVATIONS, t.n = 1, t.c = t.span = t.channels = 16 * blocks, t.h = h, t.w = w;
  return t;
}

/** Element by element, rows [0, h) and then once more in two parts: maxima of what `key` puts in order. */
template <class Element, class Key, class Run>
void maxima(const std::string& name, const Shape& s, const std::vector<Element>& src, const Key& key, const Run& run) {
  const int oh = (s.h + 2 * s.pad - 3 + s.stride - 1) / s.stride + 1, ow = (s.w + 2 * s.pad - 3 + s.stride - 1) / s.stride + 1;
  gn_attributes a{};
  a.kernel_h = a.kernel_w = 3, a.stride_h = a.stride_w = s.stride, a.pad_h = a.pad_w = s.pad;
  a.pool_kind = GN_POOL_MAX;
  if ((oh - 1) * s.stride - s.pad >= s.h || (ow - 1) * s.stride - s.pad >= s.w) return;
  const googlenet::cpu::View in(tensor(s.blocks, s.h, s.w), 16), out(tensor(s.blocks, oh, ow), 16);
  const googlenet::cpu::PoolWindows windows(a, in, out);
  std::vector<Element> dst(size_t(out.plane) + 64);  // behind the plane nothing may be written
  std::memset(dst.data(), 0x5a, dst.size() * sizeof(Element));
  const std::vector<Element> before = dst;
  run(windows.shape, src.data(), dst.data(), 0, oh / 2);
  run(windows.shape, src.data(), dst.data(), oh / 2, oh);
  bool good = true;
  for (int y = 0; y < oh; y++)
    for (int x = 0; x < ow; x++)
      for (int c = 0; c < 16; c++) {
        double best = -std::numeric_limits<double>::infinity();
        for (int v = std::max(y * s.stride - s.pad, 0); v < std::min(y * s.stride - s.pad + 3, s.h); v++)
          for (int u = std::max(x * s.stride - s.pad, 0); u < std::min(x * s.stride - s.pad + 3, s.w); u++)
            best = std::max(best, key(src[size_t((v * s.w + u) * 16 + c)]));
        good &= key(dst[size_t((y * ow + x) * 16 + c)]) == best;
      }
  good &= !std::memcmp(dst.data() + out.plane, before.data() + out.plane, 64 * sizeof(Element));
  check(good, name + " maxima " + std::to_string(s.h) + "x" + std::to_string(s.w) + " stride " +
                  std::to_string(s.stride) + " pad " + std::to_string(s.pad));
}

void pools(const Set& set, const Shape& s) {
  const size_t count = size_t(s.h) * s.w * 16;
  std::normal_distribution<float> normal;
  const auto value = [](Bf16 x) { return double(googlenet::cpu::to_float(x)); };
  const auto& kernels = set.activations;
  for (int sign = -1; sign <= 1; sign++) {  // negative, mixed with zeros of both signs, positive
    std::vector<Bf16> src(count);
    for (Bf16& x : src) {
      const float v = normal(random());
      x.bits = to_bf16(sign ? float(sign) * std::fabs(v) : pick(0, 9) ? v : pick(0, 1) ? 0.0f : -0.0f);
    }
    maxima(set.name + " bf16", s, src, value, kernels.max_forward);
  }
  std::vector<uint8_t> bytes(count);
  for (uint8_t& x : bytes) x = uint8_t(pick(0, 255));
  maxima(set.name + " bytes", s, bytes, [](uint8_t x) { return double(x); }, set.bytes.max_forward);
}

void lrn(const Set& set, int blocks, int pixels) {
  const int64_t plane = int64_t(pixels + pick(0, 3)) * 16;
  std::vector<Bf16> src(size_t(plane * blocks)), dst(src.size());
  std::normal_distribution<float> normal(0, 60);
  for (Bf16& x : src) x.bits = to_bf16(normal(random()));
  for (Bf16& x : dst) x.bits = 0x7fc1;
  const googlenet::cpu::LrnShape shape = {5, blocks, plane, 1, pixels, 1.0f, 1e-4f / 5, 0.75f, 4};
  const auto& kernels = set.activations;
  std::vector<float> scratch(size_t(kernels.lrn_scratch(shape)) + 64);
  kernels.lrn_across_forward(shape, src.data(), dst.data(), pixels, scratch.data());
  const auto at = [&](int channel, int pixel) { return size_t(channel / 16 * plane + pixel * 16 + channel % 16); };
  double worst = 0;
  bool outside = true;
  for (int c = 0; c < blocks * 16; c++) {
    for (int p = 0; p < pixels; p++) {
      double squares = 0;
      for (int k = std::max(c - 2, 0); k <= std::min(c + 2, blocks * 16 - 1); k++)
        squares += std::pow(googlenet::cpu::to_float(src[at(k, p)]), 2);
      const double want = googlenet::cpu::to_float(src[at(c, p)]) * std::pow(1 + 1e-4 / 5 * squares, -0.75);
      const double step = std::ldexp(1, std::ilogb(want) - 7);  // of bf16's 8 bits
      worst = std::max(worst, std::fabs(googlenet::cpu::to_float(dst[at(c, p)]) - want) / step);
    }
    for (int64_t p = pixels; p < plane / 16; p++) outside &= dst[at(c, int(p))].bits == 0x7fc1;
  }
  check(worst < 0.502 && outside, set.name + " bf16 LRN " + std::to_string(blocks) + " blocks, " + std::to_string(pixels) +
                                      " pixels: off by " + std::to_string(worst) + " steps");
}

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/** Numbers of every kind, to bf16 as element.h says, NaN by NaN. */
void narrow(const Set& set) {
  std::vector<float> from;
  for (const uint32_t high : {0x0u, 0x1u, 0x7fu, 0x80u, 0x3f80u, 0x3f81u, 0x7f7fu, 0x7f80u, 0x7f81u, 0x7fffu})
    for (const uint32_t low : {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      for (const uint32_t sign : {0u, 0x80000000u}) from.push_back(float_of(sign | high << 16 | low));
  while (from.size() < 4096) from.push_back(float_of(uint32_t(random()())));
  std::vector<Bf16> to(from.size());
  set.activations.narrow(from.data(), to.data(), int64_t(from.size()));
  int wrong = 0;
  for (size_t i = 0; i < from.size(); i++) {
    Bf16 want;
    googlenet::cpu::assign(want, from[i]);
    wrong += to[i].bits != want.bits;
  }
  check(wrong == 0, set.name + " narrow: " + std::to_string(wrong) + " of " + std::to_string(from.size()) + " wrong");
}

void all_of(const Set& set) {
  narrow(set);
  for (const int stride : {1, 2})
    for (const int pad : {0, 1, 2})
      for (int i = 0; i < 60; i++) pools(set, {1, pick(3, 20), pick(3, 40), stride, pad});
  for (int blocks = 1; blocks <= 13; blocks++)
    for (const int pixels : {1, 2, 3, 8, 49}) lrn(set, blocks, pixels);
}

}  // namespace

void bf16_tests() {
  using namespace googlenet::cpu;
  all_of({"portable_bf16", activations_portable_bf16(), bytes_portable_bf16()});
#if defined(__x86_64__)
  if (googlenet::effective_isa() != googlenet::Isa::portable)
    all_of({"avx2_bf16", activations_avx2_bf16(), bytes_avx2_bf16()});
  if (googlenet::has_bf16()) all_of({"avx512_bf16", activations_avx512_bf16(), bytes_avx512_bf16()});
  if (googlenet::has_vnni()) all_of({"avx512_vnni", activations_avx512_vnni(), bytes_avx512_vnni()});
#endif
}

}  // namespace test
