// LRN across channels: s = k + scale * sum over the window of x^2, y = x * s^-beta, and backward
// dx = dy * s^-beta - 2 * scale * beta * x * sum over the window of (dy * y / s).
// Works on tiles of a few pixels, copied so that a pixel's channels lie side by side with zeros at both ends: a window
// is then `size` unaligned loads, and the planes, often a multiple of 4096 bytes apart, are read one after another.
#include "cpu/simd/lrn.h"
#if GOOGLENET_WIDTH == 512 && GOOGLENET_BF16
#include "cpu/simd/lrn-pairs.h"
#endif

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Floats of zeros before and after a pixel's channels: the half window rounded up to whole vectors. */
GOOGLENET_INLINE int margin(const LrnShape& p) { return (p.size / 2 + B - 1) / B * B; }
GOOGLENET_INLINE int64_t width(const LrnShape& p) { return int64_t(p.blocks) * B + 2 * margin(p); }

GOOGLENET_INLINE void clear_margins(const LrnShape& p, float* rows) {
  const int edge = margin(p);
  for (int t = 0; t < p.tile; t++, rows += width(p))
    for (int i = 0; i < edge; i += B) store(rows + i, zero()), store(rows + width(p) - edge + i, zero());
}

/** The next tile's vector of the same plane into the second-level cache. The backward pass reads and writes more planes
 *  at once than the processor's own prefetcher follows (32 pages on Intel). */
GOOGLENET_INLINE void fetch_ahead(const LrnShape& p, const Element* at) { __builtin_prefetch(at + p.tile * B, 0, 2); }

/** Pixel-major copy of `count` pixels of all blocks into rows, past the margin. */
GOOGLENET_INLINE void gather(const LrnShape& p, const Element* src, float* rows, int count) {
  for (int b = 0; b < p.blocks; b++)
    for (int t = 0; t < count; t++) {
      const Element* from = src + b * p.plane + int64_t(t) * B;
      fetch_ahead(p, from);
      store(rows + t * width(p) + margin(p) + b * B, load(from));
    }
}

/** `at` points to the first channel of the vector in a row with margins. */
GOOGLENET_INLINE Vec window_squares(const float* at, int size) {
  const float* x = at - size / 2;
  Vec sum = mul(load(x), load(x));
#pragma GCC unroll 5
  for (int j = 1; j < size; j++) sum = fma(load(x + j), load(x + j), sum);
  return sum;
}

GOOGLENET_INLINE Vec window_sum(const float* at, int size) {
  const float* x = at - size / 2;
  Vec sum = load(x);
#pragma GCC unroll 5
  for (int j = 1; j < size; j++) sum = add(sum, load(x + j));
  return sum;
}

GOOGLENET_INLINE void forward(const LrnShape& p, const Element* src, Element* dst, int64_t pixels, float* x,
                              const int size, const float beta) {
  const int64_t row = width(p);
  const Vec k = all(p.k), scale = all(p.scale);
  clear_margins(p, x);
  for (int64_t i = 0; i < pixels; i += p.tile) {
    const int count = pixels - i < p.tile ? int(pixels - i) : p.tile;
    gather(p, src + i * B, x, count);
    for (int b = 0; b < p.blocks; b++) {
      const float* at = x + margin(p) + b * B;
      Element* out = dst + b * p.plane + i * B;
      for (int t = 0; t < count; t++, at += row, out += B) {
        Vec inverse;
        const Vec s = fma(scale, window_squares(at, size), k);
        store(out, mul(load(at), inverse_power(s, beta, &inverse)));
      }
    }
  }
}

#if !(GOOGLENET_WIDTH == 512 && GOOGLENET_BF16)
constexpr int kTogether = 4;  // pixels

/** The paper's window: the squares of three neighbouring blocks of a few pixels stay in registers. */
template <int tile>
GOOGLENET_INLINE void forward_five(const LrnShape& p, const Element* src, Element* dst) {
  const Vec k = all(p.k), scale = all(p.scale);
  Vec x[tile], squares[tile], before[tile];
  for (int t = 0; t < tile; t++) {
    x[t] = load(src + t * B);
    squares[t] = mul(x[t], x[t]);
    before[t] = zero();
  }
  for (int b = 0; b < p.blocks; b++, src += p.plane, dst += p.plane) {
    const bool last = b + 1 == p.blocks;
#pragma GCC unroll 4
    for (int t = 0; t < tile; t++) {
      const Vec next = last ? zero() : load(src + p.plane + t * B), after = mul(next, next);
      const Vec low = add(slide<B - 2>(before[t], squares[t]), slide<B - 1>(before[t], squares[t]));
      const Vec high = add(slide<1>(squares[t], after), slide<2>(squares[t], after));
      Vec inverse;
      const Vec s = fma(scale, add(add(low, high), squares[t]), k);
      store(dst + t * B, mul(x[t], power_three_quarters(s, &inverse)));
      before[t] = squares[t], squares[t] = after, x[t] = next;
    }
    __builtin_prefetch(src + 4 * tile * B, 0, 2);
  }
}
#endif

GOOGLENET_INLINE void backward(const LrnShape& p, const Element* src, const Element* diff_dst, Element* diff_src,
                               const Element* mask, bool accumulate, int64_t pixels, float* scratch, const int size,
                               const float beta) {
  const int64_t row = width(p), buffer = row * p.tile;
  float *x = scratch, *q = x + buffer, *direct = q + buffer;  // q = dy * y / s, direct = dy * s^-beta
  const Vec k = all(p.k), scale = all(p.scale), factor = all(-2.0f * p.scale * beta);
  clear_margins(p, x);
  clear_margins(p, q);
  for (int64_t i = 0; i < pixels; i += p.tile) {
    const int count = pixels - i < p.tile ? int(pixels - i) : p.tile;
    gather(p, src + i * B, x, count);
    for (int b = 0; b < p.blocks; b++) {
      const Element* dy = diff_dst + b * p.plane + i * B;
      int64_t at = margin(p) + b * B;
      for (int t = 0; t < count; t++, at += row, dy += B) {
        Vec inverse;
        fetch_ahead(p, dy);
        const Vec s = fma(scale, window_squares(x + at, size), k);
        const Vec d = mul(load(dy), inverse_power(s, beta, &inverse));
        store(direct + at, d);
        store(q + at, mul(mul(d, load(x + at)), inverse));
      }
    }
    for (int b = 0; b < p.blocks; b++) {
      int64_t at = margin(p) + b * B, out = b * p.plane + i * B;
      for (int t = 0; t < count; t++, at += row, out += B) {
        fetch_ahead(p, diff_src + out);
        const Vec dx = fma(mul(factor, load(x + at)), window_sum(q + at, size), load(direct + at));
        store_gradient(diff_src + out, dx, mask ? mask + out : nullptr, accumulate);
      }
    }
  }
}

}  // namespace

int64_t lrn_scratch(const LrnShape& p) { return 3 * width(p) * p.tile; }

// Size 5 and beta 0.75, the paper's, become constants of the loops.
void lrn_across_forward(const LrnShape& p, const Element* src, Element* dst, int64_t pixels, float* scratch) {
  if constexpr (kSlides) {
    if (p.size == 5 && p.beta == 0.75f) {
      int64_t i = 0;
      for (; i + kTogether <= pixels; i += kTogether) forward_five<kTogether>(p, src + i * B, dst + i * B);
      for (; i < pixels; i++) forward_five<1>(p, src + i * B, dst + i * B);
      return;
    }
  }
  if (p.size == 5 && p.beta == 0.75f) return forward(p, src, dst, pixels, scratch, 5, 0.75f);
  forward(p, src, dst, pixels, scratch, p.size, p.beta);
}

void lrn_across_backward(const LrnShape& p, const Element* src, const Element* diff_dst, Element* diff_src,
                         const Element* mask, bool accumulate, int64_t pixels, float* scratch) {
  if (p.size == 5 && p.beta == 0.75f)
    return backward(p, src, diff_dst, diff_src, mask, accumulate, pixels, scratch, 5, 0.75f);
  backward(p, src, diff_dst, diff_src, mask, accumulate, pixels, scratch, p.size, p.beta);
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
