// Resampling is separable: rows are blended first (contiguous, so GCC vectorises it), then columns, and only the
// pixels under the crop are touched. The result is rounded to whole grey levels, since both Caffe's image sets and PIL
// hold bytes there.
#include "image/render.h"

#include <algorithm>
#include <cstring>

#include "image/colour.h"
#include "image/pixel.h"

// The release build is -O2, where GCC leaves loops of unknown length scalar.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace googlenet {
namespace {

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
void blend_columns(const Taps& taps, const float* row, int offset, int size, float* __restrict b, float* __restrict g,
                   float* __restrict r) {
  const int count = kCount ? kCount : taps.count;
  const float* weights = taps.weights.data();
  for (int x = 0; x < size; x++, weights += count) {
    const float* p = row + 3 * (taps.first[size_t(x)] - offset);
    Four sum = weights[0] * load(p);
    for (int t = 1; t < count; t++) sum += weights[t] * load(p + 3 * t);
    r[x] = sum[0], g[x] = sum[1], b[x] = sum[2];
  }
}

void round_levels(float* v, int n, float add) {
  for (int i = 0; i < n; i++) v[i] = grey_level(v[i]) + add;
}

}  // namespace

void resample(const Pixels& src, int size, const float add[3], RenderScratch& scratch, float* dst) {
  const Taps &across = scratch.across, &down = scratch.down;
  const Region& from = src.region;
  const int n = size * size, columns = across.high - across.low;
  scratch.row.resize(size_t(columns) * 3 + 1);
  const auto blend = across.count == 2   ? blend_columns<2>
                     : across.count == 3 ? blend_columns<3>
                     : across.count == 4 ? blend_columns<4>
                     : across.count == 5 ? blend_columns<5>
                                         : blend_columns<0>;
  const size_t stride = size_t(from.width) * 3;
  for (int y = 0; y < size; y++) {
    const size_t top_row = size_t(down.first[size_t(y)] - from.y), left_column = size_t(across.low - from.x);
    blend_rows(src.data + top_row * stride + left_column * 3, stride, &down.weights[size_t(y) * size_t(down.count)],
               down.count, columns * 3, scratch.row.data());
    float* planes[3] = {dst + y * size, dst + n + y * size, dst + 2 * n + y * size};
    blend(across, scratch.row.data(), across.low, size, planes[0], planes[1], planes[2]);
    for (int c = 0; c < 3; c++) round_levels(planes[c], size, add[c]);
  }
}

void render(const Drawn& drawn, int size, const Pixels& src, int denominator, RenderScratch& scratch, float* dst) {
  static constexpr float kNothing[3] = {};
  const gn_colours& colours = drawn.colours;
  choose_taps(drawn.placement, size, denominator, scratch.across, scratch.down);
  resample(src, size, colours.count == 0 ? colours.add : kNothing, scratch, dst);
  if (colours.count == 0) return;
  const int n = size * size;
  distort(colours, n, dst);
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < n; i++) dst[c * n + i] += colours.add[c];
}

}  // namespace googlenet
