// Forward max pooling of one plane [h][w][B]: padding never wins, and of equal values the first in reading order does
// (Caffe, pooling_layer.cpp). Windows of 3x3 with stride 1 or 2, all of GoogLeNet's, have their own loops.
#include "cpu/simd/functions.h"
#include "cpu/simd/max-row.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

constexpr int kEmpty = 255;  // index of a window that covers no element; kernels reach 15 x 15 = 225 at most

/** One output row of 3x3 windows. A row outside the plane is replaced by the nearest one inside, which always belongs to
 *  the same window and so cannot change its maximum. */
GOOGLENET_INLINE void row_3x3(const PoolShape& p, const Element* src, Element* dst, int oy, int stride) {
  const int top = oy * p.stride_h - p.pad_h, last = p.h - 1;
  const auto row = [&](int y) { return src + int64_t(smaller(larger(y, 0), last)) * p.w * B; };
  max_row({row(top), row(top + 1), row(top + 2), p.w, -p.pad_w}, stride, p.out_w, dst);
}

/** Maximum of rows [y0, y1) and columns [x0, x1), and its index in the window that starts at (top, left). */
GOOGLENET_INLINE Vec window_max(const Element* src, int64_t row, int y0, int y1, int x0, int x1, int top, int left,
                                int kernel_w, Index* index) {
  Vec best = load(src + y0 * row + int64_t(x0) * B);
  Index at = index_of((y0 - top) * kernel_w + x0 - left);
  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++) {
      const Vec value = load(src + y * row + int64_t(x) * B);
      const Mask better = greater(value, best);
      best = choose(better, value, best);
      at = choose(better, index_of((y - top) * kernel_w + x - left), at);
    }
  *index = at;
  return best;
}

/** window_max of a 3x3 window that lies wholly inside the plane; `at` points to its first element. */
GOOGLENET_INLINE Vec window_max_3x3(const Element* at, int64_t row, Index* index) {
  Vec best = load(at);
  Index found = index_of(0);
#pragma GCC unroll 9
  for (int code = 1; code < 9; code++) {
    const Vec value = load(at + code / 3 * row + code % 3 * B);
    const Mask better = greater(value, best);
    best = choose(better, value, best);
    found = choose(better, index_of(code), found);
  }
  *index = found;
  return best;
}

}  // namespace

void max_forward(const PoolShape& p, const Element* src, Element* dst, int first, int last) {
  // The replaced rows and columns of row_3x3 need every window to start before the plane ends and to reach into it.
  const bool inside = p.pad_h < 3 && p.pad_w < 3 && (p.out_h - 1) * p.stride_h - p.pad_h < p.h &&
                      (p.out_w - 1) * p.stride_w - p.pad_w < p.w;
  const bool by_three = p.kernel_h == 3 && p.kernel_w == 3 && inside;
  const int64_t row = int64_t(p.w) * B;
  for (int oy = first; oy < last; oy++) {
    Element* out = dst + int64_t(oy) * p.out_w * B;
    if (by_three && p.stride_w == 1) {
      row_3x3(p, src, out, oy, 1);
      continue;
    }
    if (by_three && p.stride_w == 2) {
      row_3x3(p, src, out, oy, 2);
      continue;
    }
    const int top = oy * p.stride_h - p.pad_h;
    const int y0 = larger(top, 0), y1 = smaller(top + p.kernel_h, p.h);
    for (int ox = 0; ox < p.out_w; ox++) {
      const int left = ox * p.stride_w - p.pad_w;
      const int x0 = larger(left, 0), x1 = smaller(left + p.kernel_w, p.w);
      Vec best = y0 < y1 && x0 < x1 ? load(src + y0 * row + int64_t(x0) * B) : zero();
      for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) best = max(load(src + y * row + int64_t(x) * B), best);
      store(out + int64_t(ox) * B, best);
    }
  }
}

void max_forward_index(const PoolShape& p, const Element* src, Element* dst, uint8_t* index, int first, int last) {
  const bool by_three = p.kernel_h == 3 && p.kernel_w == 3;
  const int64_t row = int64_t(p.w) * B;
  for (int oy = first; oy < last; oy++) {
    const int top = oy * p.stride_h - p.pad_h;
    const int y0 = larger(top, 0), y1 = smaller(top + p.kernel_h, p.h);
    for (int ox = 0; ox < p.out_w; ox++) {
      const int left = ox * p.stride_w - p.pad_w;
      const int x0 = larger(left, 0), x1 = smaller(left + p.kernel_w, p.w);
      Index at = index_of(kEmpty);
      Vec best;
      if (by_three && y1 - y0 == 3 && x1 - x0 == 3)
        best = window_max_3x3(src + y0 * row + int64_t(x0) * B, row, &at);
      else if (y0 < y1 && x0 < x1)
        best = window_max(src, row, y0, y1, x0, x1, top, left, p.kernel_w, &at);
      else
        best = zero();
      const int64_t o = (int64_t(oy) * p.out_w + ox) * B;
      store(dst + o, best);
      store_index(index + o, at);
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
