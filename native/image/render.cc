// Resampling is separable: rows are blended first (contiguous, so GCC vectorises it), then columns, and only the
// pixels under the crop are touched. Bilinear with half-pixel centres; when shrinking, the triangle grows with the
// factor as PIL's BILINEAR does. The result is rounded to whole grey levels, since both Caffe's image sets
// and PIL hold bytes there.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "image/augment.h"
#include "image/colour.h"

// The release build is -O2, where GCC leaves loops of unknown length scalar.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace googlenet {
namespace {

/** Output pixel i lies at begin + (i + 1/2) step, in pixel edges of the source; taps stay in [low, high). */
void make_taps(RenderScratch::Taps& taps, int size, double begin, double step, int low, int high, bool mirror) {
  const double support = std::max(1.0, step);
  taps.count = std::min(int(std::ceil(support * 2)) + 1, high - low);
  taps.first.resize(size_t(size));
  taps.weights.assign(size_t(size) * size_t(taps.count), 0.0f);
  int used = 1;
  for (int i = 0; i < size; i++) {
    const double centre = begin + (i + 0.5) * step;
    int from = std::max(low, int(std::floor(centre - support + 0.5)));
    const int to = std::min(high, int(std::floor(centre + support + 0.5)));
    from = std::min({from, std::max(low, to - 1), high - 1});
    const int slot = mirror ? size - 1 - i : i;
    // Near the edge the run starts earlier, with zero weights, so that `count` taps never read past `high`.
    const int first = std::min(from, high - taps.count);
    float* weights = &taps.weights[size_t(slot) * size_t(taps.count)];
    taps.first[size_t(slot)] = first;
    double sum = 0;
    for (int s = from; s < to; s++) sum += std::max(0.0, 1 - std::fabs(s + 0.5 - centre) / support);
    if (sum <= 0) {  // one source pixel, its centre exactly a support away
      weights[from - first] = 1;
      continue;
    }
    for (int s = from; s < to && s - first < taps.count; s++)
      weights[s - first] = float(std::max(0.0, 1 - std::fabs(s + 0.5 - centre) / support) / sum);
    for (int t = 0; t < taps.count; t++)
      if (weights[t] != 0) used = std::max(used, t + 1);
  }
  if (used == taps.count) return;
  // The widest run is often narrower than its bound: bilinear needs 2 taps, not 3.
  for (int i = 0; i < size; i++)
    for (int t = 0; t < used; t++)
      taps.weights[size_t(i) * size_t(used) + size_t(t)] = taps.weights[size_t(i) * size_t(taps.count) + size_t(t)];
  taps.count = used;
}

/** row (n) = sum of weighted source rows, from row `first` on. */
void blend_rows(const uint8_t* __restrict src, size_t stride, const float* weights, int count, int n,
                float* __restrict row) {
  const float w0 = weights[0], w1 = count > 1 ? weights[1] : 0.0f;
  const uint8_t* __restrict next = count > 1 ? src + stride : src;
  for (int i = 0; i < n; i++) row[i] = w0 * float(src[i]) + w1 * float(next[i]);
  for (int t = 2; t < count; t++) {
    const float w = weights[t];
    if (w == 0) continue;
    const uint8_t* __restrict more = src + size_t(t) * stride;
    for (int i = 0; i < n; i++) row[i] += w * float(more[i]);
  }
}

// A pixel's R, G, B and whatever follows it: four products for the price of one.
using Four = float __attribute__((vector_size(16)));

inline Four load(const float* p) {
  Four v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

/** One output row: RGB row (with one float of padding) to B, G and R planes. */
template <int kCount>
void blend_columns(const RenderScratch::Taps& taps, const float* row, int offset, int size, float* __restrict b,
                   float* __restrict g, float* __restrict r) {
  const int count = kCount ? kCount : taps.count;
  const float* weights = taps.weights.data();
  for (int x = 0; x < size; x++, weights += count) {
    const float* p = row + 3 * (taps.first[size_t(x)] - offset);
    Four sum = weights[0] * load(p);
    for (int t = 1; t < count; t++) sum += weights[t] * load(p + 3 * t);
    r[x] = sum[0], g[x] = sum[1], b[x] = sum[2];
  }
}

/** Nearest whole number for 0..255 (adding 1.5 * 2^23 leaves no room for a fraction), then `add`. */
void round_levels(float* v, int n, float add) {
  for (int i = 0; i < n; i++) v[i] = ((v[i] + 12582912.0f) - 12582912.0f) + add;
}

}  // namespace

void render(const AugmentPolicy& p, const Placement& placement, const Pixels& src, int denominator,
            const SampleKey& key, RenderScratch& scratch, float* dst) {
  const int size = p.size, n = size * size;
  const Region& from = src.region;
  const Region& bounds = placement.bounds;
  const double shrink = 1.0 / denominator;
  // Rounded outwards: a shrunk pixel that the crop covers in part may be read.
  const int left = bounds.x / denominator, top = bounds.y / denominator;
  const int right = (bounds.x + bounds.width + denominator - 1) / denominator;
  const int bottom = (bounds.y + bounds.height + denominator - 1) / denominator;
  RenderScratch::Taps &across = scratch.across, &down = scratch.down;
  make_taps(across, size, placement.x * shrink, placement.width * shrink / size, left, right, placement.mirror);
  make_taps(down, size, placement.y * shrink, placement.height * shrink / size, top, bottom, false);

  const auto [low, high] = std::minmax_element(across.first.begin(), across.first.end());
  const int first_column = *low, columns = *high + across.count - first_column;
  scratch.row.resize(size_t(columns) * 3 + 1);
  const auto blend = across.count == 2   ? blend_columns<2>
                     : across.count == 3 ? blend_columns<3>
                     : across.count == 4 ? blend_columns<4>
                     : across.count == 5 ? blend_columns<5>
                                         : blend_columns<0>;
  const bool colours = p.brightness > 0 || p.contrast > 0 || p.saturation > 0 || p.lighting > 0;
  const size_t stride = size_t(from.width) * 3;
  for (int y = 0; y < size; y++) {
    const size_t top_row = size_t(down.first[size_t(y)] - from.y), left_column = size_t(first_column - from.x);
    blend_rows(src.data + top_row * stride + left_column * 3, stride, &down.weights[size_t(y) * size_t(down.count)],
               down.count, columns * 3, scratch.row.data());
    float *b = dst + y * size, *g = b + n, *r = g + n;
    blend(across, scratch.row.data(), first_column, size, b, g, r);
    round_levels(b, size, colours ? 0 : -p.mean[0]);
    round_levels(g, size, colours ? 0 : -p.mean[1]);
    round_levels(r, size, colours ? 0 : -p.mean[2]);
  }
  if (!colours) return;
  const std::array<float, 3> shift = distort(p, key, dst);
  for (int c = 0; c < 3; c++) {
    const float add = shift[size_t(c)] - p.mean[c];
    float* plane = dst + c * n;
    for (int i = 0; i < n; i++) plane[i] += add;
  }
}

}  // namespace googlenet
