// Loops over planes, written so that GCC vectorises them; the same operations in the same order on every machine.
#include "image/colour.h"

#include <algorithm>
#include <utility>

#include "image/draws.h"
#include "image/pixel.h"

// The release build is -O2, where GCC leaves loops of unknown length scalar.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace googlenet {
namespace {

/** Mean luma over all pixels; eight partial sums so that it vectorises, in an order that never changes. */
float mean_luma(const float* b, const float* g, const float* r, int n) {
  double total = 0;
  int i = 0;
  while (i < n) {
    float lanes[8] = {};
    const int stop = std::min(n, i + 1024);
    for (; i + 8 <= stop; i += 8)
      for (int k = 0; k < 8; k++) lanes[k] += luma(b[i + k], g[i + k], r[i + k]);
    for (; i < stop; i++) lanes[0] += luma(b[i], g[i], r[i]);
    for (const float lane : lanes) total += double(lane);
  }
  return float(total / n);
}

void pull_all(float* __restrict v, int n, float base, float factor) {
  for (int i = 0; i < n; i++) v[i] = pull(v[i], base, factor);
}

void saturate(float* __restrict b, float* __restrict g, float* __restrict r, int n, float factor) {
  for (int i = 0; i < n; i++) {
    const float grey = luma(b[i], g[i], r[i]);
    b[i] = pull(b[i], grey, factor);
    g[i] = pull(g[i], grey, factor);
    r[i] = pull(r[i], grey, factor);
  }
}

}  // namespace

gn_colours draw_colours(const AugmentPolicy& p, const SampleKey& key) {
  gn_colours colours{};
  Draws draws(key, Stream::COLOUR);
  // Drawn whether used or not: switching one distortion off leaves the others as they were.
  const float strength[GN_CHANGES] = {p.brightness, p.contrast, p.saturation};  // in the order of gn_change
  float factor[GN_CHANGES];
  for (int k = 0; k < GN_CHANGES; k++) factor[k] = float(1 + strength[k] * draws.uniform(-1, 1));
  int order[GN_CHANGES] = {GN_BRIGHTNESS, GN_CONTRAST, GN_SATURATION};
  for (int i = 2; i > 0; i--) std::swap(order[i], order[draws.integer(i)]);
  for (const int change : order) {
    if (!(strength[change] > 0)) continue;
    colours.change[colours.count] = change;
    colours.factor[colours.count++] = factor[change];
  }
  for (int c = 0; c < 3; c++) colours.add[c] = -p.mean[c];
  if (p.lighting > 0) {
    // Eigenvalues and vectors (columns; rows R, G, B) of ImageNet's colours on a scale of 0..1, as published with
    // fb.resnet.torch.
    static constexpr double kValues[3] = {0.2175, 0.0188, 0.0045};
    static constexpr double kVectors[3][3] = {
        {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};
    double sum[3] = {};
    for (int v = 0; v < 3; v++) {
      const double alpha = draws.normal() * p.lighting * kValues[v] * 255;
      for (int c = 0; c < 3; c++) sum[c] += alpha * kVectors[c][v];
    }
    for (int c = 0; c < 3; c++) colours.add[c] = float(sum[2 - c]) - p.mean[c];
  }
  return colours;
}

void distort(const gn_colours& colours, int n, float* dst) {
  float *b = dst, *g = dst + n, *r = dst + 2 * n;
  for (int i = 0; i < colours.count; i++) {
    const float factor = colours.factor[i];
    switch (colours.change[i]) {
      case GN_BRIGHTNESS: pull_all(dst, 3 * n, 0, factor); break;
      case GN_CONTRAST: pull_all(dst, 3 * n, mean_luma(b, g, r, n), factor); break;
      case GN_SATURATION: saturate(b, g, r, n, factor); break;
    }
  }
}

}  // namespace googlenet
