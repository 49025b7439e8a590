// Dropout, softmax, loss, and the planner's steps on gradients.
#include <cfloat>

#include "check.h"
#include "core/rng.h"
#include "core/status.h"

namespace test {
namespace {

void dropout(googlenet::Isa isa, int n, int c, int h, int w, float ratio, bool in_place) {
  Bench b(isa, "dropout");
  gn_step step{};
  step.op = GN_DROPOUT, step.name = "dropout";
  step.attributes.dropout_ratio = ratio, step.attributes.dropout_stream = 3;
  const gn_tensor src = b.tensor(n, c, h, w), dst = in_place ? src : b.tensor(n, c, h, w);
  const Values x = b.fill(src);
  step.src = src, step.dst = dst;
  b.run(googlenet::cpu::make_dropout, step, {dst});
  b.near(dst, x, 0, 1);

  const googlenet::Philox random(b.bindings().seed);
  Values want;
  Bench::each(src, c, [&](int in, int ic, int iy, int ix) {
    const int64_t group = ((int64_t(in) * h + iy) * w + ix) * ((c + 3) / 4) + ic / 4;
    const bool kept = googlenet::Philox::uniform(random(uint32_t(group), 0, 7, 3)[ic % 4]) >= ratio;
    want.push_back(kept ? x[want.size()] / (1 - double(ratio)) : 0);
  });
  step.training = 1;
  const std::vector<float> kept = b.arena;
  b.run(googlenet::cpu::make_dropout, step, {dst});
  b.near(dst, want, 1e-6);
  b.arena = kept;
  step.direction = GN_BACKWARD_DATA;
  step.diff_dst = src, step.diff_src = dst, step.src = step.dst = gn_tensor{};
  b.run(googlenet::cpu::make_dropout, step, {dst});
  b.near(dst, want, 1e-6);
}

Values softmax_of(const Values& x, int n, int c, int area) {
  Values y(x.size());
  for (int in = 0; in < n; in++)
    for (int p = 0; p < area; p++) {
      const int64_t base = int64_t(in) * c * area + p;
      double largest = -DBL_MAX, sum = 0;
      for (int k = 0; k < c; k++) largest = std::max(largest, x[base + int64_t(k) * area]);
      for (int k = 0; k < c; k++) sum += y[base + int64_t(k) * area] = std::exp(x[base + int64_t(k) * area] - largest);
      for (int k = 0; k < c; k++) y[base + int64_t(k) * area] /= sum;
    }
  return y;
}

void softmax(googlenet::Isa isa, int n, int c, int h, int w) {
  Bench b(isa, "softmax");
  gn_step step{};
  step.op = GN_SOFTMAX, step.name = "softmax", step.attributes.classes = c;
  const gn_tensor src = b.tensor(n, c, h, w), dst = b.tensor(n, c, h, w);
  const gn_tensor diff_src = b.tensor(n, c, h, w), diff_dst = b.tensor(n, c, h, w);
  const Values x = b.fill(src), dy = b.fill(diff_dst), y = softmax_of(x, n, c, h * w);
  const Values before = b.fill(diff_src);
  step.src = src, step.dst = dst;
  b.run(googlenet::cpu::make_softmax, step, {dst});
  b.near(dst, y, 1e-6, 1e-9);

  Values dx(x.size());
  const int64_t area = int64_t(h) * w;
  for (size_t i = 0; i < x.size(); i++) {
    double sum = 0;
    const int64_t base = int64_t(i) / (c * area) * c * area + int64_t(i) % area;
    for (int k = 0; k < c; k++) sum += dy[base + k * area] * y[base + k * area];
    dx[i] = y[i] * (dy[i] - sum);
  }
  step.direction = GN_BACKWARD_DATA, step.training = 1, step.accumulate = pick(0, 1);
  step.diff_src = diff_src, step.diff_dst = diff_dst;
  b.run(googlenet::cpu::make_softmax, step, {diff_src});
  b.near(diff_src, finish(dx, step.accumulate ? before : Values(), nullptr), 1e-6, 0.5);
}

void loss(googlenet::Isa isa, int n, int c, bool accumulate) {
  Bench b(isa, "loss");
  gn_step step{};
  step.op = GN_LOSS, step.name = "loss";
  step.attributes.classes = c, step.attributes.loss_weight = 0.3f, step.attributes.result = 2;
  const gn_tensor src = b.tensor(n, c, 1, 1), dst = b.tensor(n, c, 1, 1), diff_src = b.tensor(n, c, 1, 1);
  const Values x = b.fill(src), y = softmax_of(x, n, c, 1), before = b.fill(diff_src);
  double want = 0, right = 0;
  Values dx = y;
  for (int i = 0; i < n; i++) {
    b.labels.push_back(pick(0, c - 1));
    const int64_t label = int64_t(i) * c + b.labels[i];
    want -= std::log(y[label]) / n;
    bool best = true;
    for (int k = 0; k < c; k++) best &= y[int64_t(i) * c + k] <= y[label];
    right += best;
    dx[label] -= 1;
  }
  for (double& d : dx) d *= 0.3 / n;
  step.src = src, step.dst = dst, step.training = 1;
  b.run(googlenet::cpu::make_softmax, step, {dst});
  b.near(dst, y, 1e-6, 1e-9);
  check(std::fabs(b.results[2] - want) < 1e-6 * want + 1e-7 && b.results[3] == float(right), b.name + ": results");
  step.direction = GN_BACKWARD_DATA, step.diff_src = diff_src, step.accumulate = accumulate;
  b.run(googlenet::cpu::make_softmax, step, {diff_src});
  b.near(diff_src, finish(dx, accumulate ? before : Values(), nullptr), 1e-6, 0.1);

  b.labels[0] = c;
  bool refused = false;
  gn_device device = b.device(1);
  try {
    googlenet::cpu::make_softmax(device, step)->run(b.bindings());
  } catch (const googlenet::Failure& failure) {
    refused = failure.code == googlenet::Code::LABEL_OUT_OF_RANGE;
  }
  check(refused, b.name + ": label out of range");
}

void gradient(googlenet::Isa isa, gn_op op, bool masked, int n, int c, int h, int w) {
  Bench b(isa, op == GN_SUM ? "sum" : "mask");
  gn_step step{};
  step.op = op, step.direction = GN_BACKWARD_DATA, step.name = "gradient", step.accumulate = op == GN_SUM;
  const gn_tensor diff_src = b.tensor(n, c, h, w), diff_dst = b.tensor(n, c, h, w), mask = b.tensor(n, c, h, w);
  Values before = b.fill(diff_src), dy = b.fill(diff_dst), keep = b.fill(mask, true);
  step.diff_src = diff_src;
  if (op == GN_SUM) step.diff_dst = diff_dst;
  if (masked) step.mask = mask;
  if (op != GN_SUM) dy.assign(dy.size(), 0);
  b.run(googlenet::cpu::make_gradient, step, {diff_src});
  b.near(diff_src, finish(dy, before, masked ? &keep : nullptr), 1e-6, 0.1);
}

}  // namespace

void small_tests() {
  for (const googlenet::Isa isa : isas())
    for (int i = 0; i < 12; i++) {
      const int n = i % 2 ? 3 : 1, c = pick(1, 70), h = i < 6 ? 1 : pick(1, 5), w = i < 6 ? 1 : pick(1, 5);
      dropout(isa, n, c, h, w, i % 3 ? 0.4f : 0.7f, i % 4 == 0);
      softmax(isa, n, c, h, w);
      loss(isa, n, c + 1, i % 2);
      gradient(isa, GN_SUM, i % 2, n, c, h, w);
      gradient(isa, GN_MASK, true, n, c, h, w);
    }
}

}  // namespace test
