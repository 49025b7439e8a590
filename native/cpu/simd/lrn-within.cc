// LRN within a channel, one plane [h][w][B]: the window is size x size pixels, zeros around the plane. Caffe builds it
// of square, AVE pooling with pad size / 2 (every window's area is then size^2), power and product; the same formulas
// as across channels hold with scale = alpha / size^2.
#include "cpu/simd/lrn.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Sum over the window around (y, x) of the plane's values, or of their squares. */
template <class T>
GOOGLENET_INLINE Vec window(const LrnShape& p, const T* plane, int y, int x, bool squares) {
  const int half = p.size / 2;
  const int y0 = larger(y - half, 0), y1 = smaller(y + half + 1, p.h);
  const int x0 = larger(x - half, 0), x1 = smaller(x + half + 1, p.w);
  Vec sum = zero();
  for (int wy = y0; wy < y1; wy++)
    for (int wx = x0; wx < x1; wx++) {
      const Vec value = load(plane + (int64_t(wy) * p.w + wx) * B);
      sum = squares ? fma(value, value, sum) : add(sum, value);
    }
  return sum;
}

}  // namespace

void lrn_within_forward(const LrnShape& p, const Element* src, Element* dst, int first, int last) {
  for (int y = first; y < last; y++)
    for (int x = 0; x < p.w; x++) {
      const int64_t i = (int64_t(y) * p.w + x) * B;
      Vec inverse;
      const Vec s = fma(all(p.scale), window(p, src, y, x, true), all(p.k));
      store(dst + i, mul(load(src + i), inverse_power(s, p.beta, &inverse)));
    }
}

void lrn_within_backward(const LrnShape& p, const Element* src, const Element* diff_dst, Element* diff_src,
                         const Element* mask, bool accumulate, float* scratch) {
  const int64_t plane = int64_t(p.h) * p.w * B;
  float *q = scratch, *direct = scratch + plane;  // as in lrn-across.cc
  for (int y = 0; y < p.h; y++)
    for (int x = 0; x < p.w; x++) {
      const int64_t i = (int64_t(y) * p.w + x) * B;
      Vec inverse;
      const Vec s = fma(all(p.scale), window(p, src, y, x, true), all(p.k));
      const Vec d = mul(load(diff_dst + i), inverse_power(s, p.beta, &inverse));
      store(direct + i, d);
      store(q + i, mul(mul(d, load(src + i)), inverse));
    }
  const Vec factor = all(-2.0f * p.scale * p.beta);
  for (int y = 0; y < p.h; y++)
    for (int x = 0; x < p.w; x++) {
      const int64_t i = (int64_t(y) * p.w + x) * B;
      const Vec dx = fma(mul(factor, load(src + i)), window(p, q, y, x, false), load(direct + i));
      store_gradient(diff_src + i, dx, mask ? mask + i : nullptr, accumulate);
    }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
