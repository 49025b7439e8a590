// Loops over planes, written so that GCC vectorises them; the same operations in the same order on every machine.
#include "image/colour.h"

#include <algorithm>
#include <utility>

#include "image/draws.h"

// The release build is -O2, where GCC leaves loops of unknown length scalar.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace googlenet {
namespace {

inline float clip(float v) {
  v = v > 0.0f ? v : 0.0f;
  return v < 255.0f ? v : 255.0f;
}

// ITU-R 601 luma, as PIL's convert('L').
constexpr float kRed = 0.299f, kGreen = 0.587f, kBlue = 0.114f;

/** Mean luma over all pixels; eight partial sums so that it vectorises, in an order that never changes. */
float mean_luma(const float* b, const float* g, const float* r, int n) {
  double total = 0;
  int i = 0;
  while (i < n) {
    float lanes[8] = {};
    const int stop = std::min(n, i + 1024);
    for (; i + 8 <= stop; i += 8)
      for (int k = 0; k < 8; k++) lanes[k] += kRed * r[i + k] + kGreen * g[i + k] + kBlue * b[i + k];
    for (; i < stop; i++) lanes[0] += kRed * r[i] + kGreen * g[i] + kBlue * b[i];
    for (const float lane : lanes) total += double(lane);
  }
  return float(total / n);
}

/** v = clip(base + factor (v - base)) */
void pull(float* __restrict v, int n, float base, float factor) {
  for (int i = 0; i < n; i++) v[i] = clip(base + factor * (v[i] - base));
}

void saturate(float* __restrict b, float* __restrict g, float* __restrict r, int n, float factor) {
  for (int i = 0; i < n; i++) {
    const float grey = kRed * r[i] + kGreen * g[i] + kBlue * b[i];
    b[i] = clip(grey + factor * (b[i] - grey));
    g[i] = clip(grey + factor * (g[i] - grey));
    r[i] = clip(grey + factor * (r[i] - grey));
  }
}

}  // namespace

std::array<float, 3> distort(const AugmentPolicy& p, const SampleKey& key, float* dst) {
  const int n = p.size * p.size;
  float *b = dst, *g = dst + n, *r = dst + 2 * n;
  Draws draws(key, Stream::COLOUR);
  // Drawn whether used or not: switching one distortion off leaves the others as they were.
  const float bright = float(1 + p.brightness * draws.uniform(-1, 1));
  const float contrast = float(1 + p.contrast * draws.uniform(-1, 1));
  const float saturation = float(1 + p.saturation * draws.uniform(-1, 1));
  int order[3] = {0, 1, 2};
  for (int i = 2; i > 0; i--) std::swap(order[i], order[draws.integer(i)]);
  for (const int what : order) {
    if (what == 0 && p.brightness > 0) pull(dst, 3 * n, 0, bright);
    if (what == 1 && p.contrast > 0) pull(dst, 3 * n, mean_luma(b, g, r, n), contrast);
    if (what == 2 && p.saturation > 0) saturate(b, g, r, n, saturation);
  }
  std::array<float, 3> light{};
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
    light = {float(sum[2]), float(sum[1]), float(sum[0])};
  }
  return light;
}

}  // namespace googlenet
