// Pooling against Caffe's loops (pooling_layer.cpp) in f64.
#include <algorithm>

#include "check.h"

namespace test {
namespace {

struct Shape {
  int n, c, h, w, kh, kw, sh, sw, ph, pw;
  bool ceil;
};

int out_size(int size, int k, int s, int p, bool ceil) {
  int out = (size + 2 * p - k + (ceil ? s - 1 : 0)) / s + 1;
  if (ceil && p > 0 && (out - 1) * s >= size + p) out--;
  return out;
}

struct Window {
  int y0, y1, x0, x1, top, left, area;
};
Window window(const Shape& s, int oy, int ox) {
  Window v{};
  v.top = oy * s.sh - s.ph, v.left = ox * s.sw - s.pw;
  const int bottom = std::min(v.top + s.kh, s.h + s.ph), right = std::min(v.left + s.kw, s.w + s.pw);
  v.area = (bottom - v.top) * (right - v.left);
  v.y0 = std::max(v.top, 0), v.x0 = std::max(v.left, 0), v.y1 = std::min(bottom, s.h), v.x1 = std::min(right, s.w);
  return v;
}

void one(googlenet::Isa isa, const Shape& s, bool average, bool accumulate, bool masked) {
  Bench b(isa, std::string(average ? "average" : "max") + " pool " + std::to_string(s.c) + "x" + std::to_string(s.h) +
                   "x" + std::to_string(s.w) + " k" + std::to_string(s.kh) + "x" + std::to_string(s.kw) + " s" +
                   std::to_string(s.sh) + "x" + std::to_string(s.sw) + " p" + std::to_string(s.ph) + "x" +
                   std::to_string(s.pw));
  const int oh = out_size(s.h, s.kh, s.sh, s.ph, s.ceil), ow = out_size(s.w, s.kw, s.sw, s.pw, s.ceil);
  gn_step step{};
  step.op = GN_POOL, step.name = "pool";
  gn_attributes& a = step.attributes;
  a.pool_kind = average ? GN_POOL_AVERAGE : GN_POOL_MAX;
  a.kernel_h = s.kh, a.kernel_w = s.kw, a.stride_h = s.sh, a.stride_w = s.sw, a.pad_h = s.ph, a.pad_w = s.pw;
  const gn_tensor src = step.src = b.tensor(s.n, s.c, s.h, s.w), dst = step.dst = b.tensor(s.n, s.c, oh, ow);
  const gn_tensor diff_src = b.tensor(s.n, s.c, s.h, s.w), diff_dst = b.tensor(s.n, s.c, oh, ow);
  const gn_tensor mask = b.tensor(s.n, s.c, s.h, s.w);
  gn_tensor workspace = b.tensor(s.n, dst.span, oh, ow, true);
  workspace.planar = 0, workspace.c = s.c;
  const Values x = b.fill(src, !average), dy = b.fill(diff_dst), keep = b.fill(mask, true);
  const Values before = b.fill(diff_src);

  Values y, dx(x.size(), 0.0);
  size_t o = 0;
  for (int plane = 0; plane < s.n * s.c; plane++)
    for (int oy = 0; oy < oh; oy++)
      for (int ox = 0; ox < ow; ox++, o++) {
        const Window v = window(s, oy, ox);
        double sum = 0;
        int64_t best = -1;
        for (int iy = v.y0; iy < v.y1; iy++)
          for (int ix = v.x0; ix < v.x1; ix++) {
            const int64_t i = (int64_t(plane) * s.h + iy) * s.w + ix;
            sum += x[i];
            if (average) dx[i] += dy[o] / v.area;
            if (best < 0 || x[i] > x[best]) best = i;
          }
        y.push_back(average ? (v.area > 0 ? sum / v.area : 0) : best < 0 ? 0 : x[best]);
        if (!average && best >= 0) dx[best] += dy[o];
      }

  b.run(googlenet::cpu::make_pool, step, {dst});
  b.near(dst, y, average ? 2e-6 : 0, average ? 0.1 : 1);
  if (!average) {
    step.training = 1, step.workspace = workspace;
    b.run(googlenet::cpu::make_pool, step, {dst});
    b.near(dst, y, 0, 1);
  }
  gn_step back = step;
  back.training = 1, back.direction = GN_BACKWARD_DATA;
  back.src = back.dst = gn_tensor{};
  back.diff_src = diff_src, back.diff_dst = diff_dst, back.accumulate = accumulate;
  if (masked) back.mask = mask;
  b.run(googlenet::cpu::make_pool, back, {diff_src});
  b.near(diff_src, finish(dx, accumulate ? before : Values(), masked ? &keep : nullptr), 2e-6, 0.5);
}

}  // namespace

void pool_tests() {
  const Shape fixed[] = {
      {3, 20, 13, 11, 3, 3, 2, 2, 0, 0, true},  {1, 16, 14, 14, 3, 3, 1, 1, 1, 1, true},
      {3, 33, 7, 7, 3, 3, 1, 1, 1, 1, true},    {1, 40, 12, 12, 3, 3, 2, 2, 0, 0, true},
      {1, 8, 12, 13, 3, 3, 2, 2, 1, 1, true},   {3, 17, 7, 7, 7, 7, 1, 1, 0, 0, true},
      {1, 24, 14, 14, 5, 5, 3, 3, 0, 0, true},  {1, 5, 4, 4, 4, 4, 4, 4, 0, 0, false},
      {1, 9, 31, 17, 15, 15, 4, 4, 7, 7, true}, {2, 12, 9, 10, 2, 3, 2, 1, 0, 1, true},
      {1, 3, 1, 1, 3, 3, 1, 1, 1, 1, true},     {2, 7, 2, 1, 3, 3, 2, 2, 1, 1, true},
      {1, 4, 5, 6, 1, 1, 3, 3, 0, 0, true},     {1, 4, 6, 5, 3, 3, 1, 2, 2, 2, true},
  };
  for (const googlenet::Isa isa : isas()) {
    for (const Shape& s : fixed)
      for (int variant = 0; variant < 8; variant++) one(isa, s, variant & 1, variant & 2, variant & 4);
    for (int i = 0; i < 60; i++) {
      Shape s{pick(0, 1) ? 3 : 1, pick(1, 40), pick(1, 17), pick(1, 17), pick(1, 5),     pick(1, 5),
              pick(1, 3),         pick(1, 3),  0,           0,           pick(0, 1) == 1};
      if (pick(0, 1)) s.kh = s.kw = 3, s.sh = s.sw = pick(1, 2);
      s.ph = pick(0, s.kh - 1), s.pw = pick(0, s.kw - 1);
      if (s.h + 2 * s.ph < s.kh || s.w + 2 * s.pw < s.kw) continue;
      for (int average = 0; average < 2; average++) one(isa, s, average, pick(0, 1), pick(0, 1));
    }
  }
}

}  // namespace test
