// LRN in both regions, forward and backward, against its formulas in f64.
#include <algorithm>

#include "check.h"

namespace test {
namespace {

void one(googlenet::Isa isa, int n, int c, int h, int w, int size, float beta, bool within, bool accumulate,
         bool masked) {
  Bench b(isa, std::string("lrn ") + (within ? "within " : "across ") + std::to_string(c) + "x" + std::to_string(h) +
                   "x" + std::to_string(w) + " size " + std::to_string(size));
  gn_step step{};
  step.op = GN_LRN, step.name = "lrn";
  gn_attributes& a = step.attributes;
  a.lrn_region = within ? GN_LRN_WITHIN : GN_LRN_ACROSS;
  a.lrn_size = size, a.lrn_alpha = 0.7f, a.lrn_beta = beta, a.lrn_k = within ? 1 : 2;
  const gn_tensor src = b.tensor(n, c, h, w), dst = b.tensor(n, c, h, w), mask = b.tensor(n, c, h, w);
  const gn_tensor diff_src = b.tensor(n, c, h, w), diff_dst = b.tensor(n, c, h, w);
  const Values x = b.fill(src), dy = b.fill(diff_dst), keep = b.fill(mask, true), before = b.fill(diff_src);

  const double scale = double(a.lrn_alpha) / (within ? size * size : size);
  const int half = size / 2;
  const auto each_neighbour = [&](int64_t i, const auto& body) {
    const int px = int(i % w), py = int(i / w % h), pc = int(i / w / h % c);
    const int64_t image = i / (int64_t(c) * h * w) * c * h * w;
    if (within) {
      for (int y = std::max(py - half, 0); y <= std::min(py + half, h - 1); y++)
        for (int q = std::max(px - half, 0); q <= std::min(px + half, w - 1); q++)
          body(image + (int64_t(pc) * h + y) * w + q);
    } else {
      for (int k = std::max(pc - half, 0); k <= std::min(pc + half, c - 1); k++)
        body(image + (int64_t(k) * h + py) * w + px);
    }
  };
  Values s(x.size()), y(x.size()), dx(x.size());
  for (size_t i = 0; i < x.size(); i++) {
    double sum = 0;
    each_neighbour(int64_t(i), [&](int64_t j) { sum += x[j] * x[j]; });
    s[i] = a.lrn_k + scale * sum;
    y[i] = x[i] * std::pow(s[i], -double(beta));
  }
  for (size_t i = 0; i < x.size(); i++) {
    double sum = 0;
    each_neighbour(int64_t(i), [&](int64_t j) { sum += dy[j] * y[j] / s[j]; });
    dx[i] = dy[i] * std::pow(s[i], -double(beta)) - 2 * scale * beta * x[i] * sum;
  }

  step.src = src, step.dst = dst;
  b.run(googlenet::cpu::make_lrn, step, {dst});
  b.near(dst, y, 6e-7, 1e-9);
  step.direction = GN_BACKWARD_DATA, step.training = 1;
  step.dst = gn_tensor{}, step.diff_src = diff_src, step.diff_dst = diff_dst, step.accumulate = accumulate;
  if (masked) step.mask = mask;
  b.run(googlenet::cpu::make_lrn, step, {diff_src});
  b.near(diff_src, finish(dx, accumulate ? before : Values(), masked ? &keep : nullptr), 2e-6, 0.5);
}

}  // namespace

void lrn_tests() {
  for (const googlenet::Isa isa : isas()) {
    one(isa, 3, 64, 9, 7, 5, 0.75f, false, false, false);
    one(isa, 1, 192, 5, 5, 5, 0.75f, false, true, true);
    one(isa, 1, 3, 2, 3, 47, 0.75f, false, true, true);
    one(isa, 1, 9, 1, 1, 1, 0.5f, false, false, true);
    for (int i = 0; i < 60; i++)
      one(isa, pick(0, 1) ? 3 : 1, pick(1, 70), pick(1, 9), pick(1, 9), pick(0, 1) ? 5 : 2 * pick(0, 4) + 1,
          pick(0, 1) ? 0.75f : 0.6f, i % 3 == 0, pick(0, 1), pick(0, 1));
  }
}

}  // namespace test
