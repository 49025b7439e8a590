// A row of 3x3 maxima. Columns outside the plane never win.
#pragma once
#include "cpu/simd/vector.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

/** Rows of the source under a row of windows, its columns, and the column where the first window begins. */
struct MaxRow {
  const Element *a, *b, *c;
  int width, start;
};

#if GOOGLENET_WIDTH == 512 && GOOGLENET_BF16

// bf16, two pixels at a time, compared as they lie in memory. As signed numbers they are in order where one of them is not
// negative, and then that is larger; a window of negative ones alone, whose maximum comes out negative, is looked at again.

/** The largest of the three rows at columns x and x + 1; columns outside are less than all others. */
GOOGLENET_INLINE __m512i column_pair(const MaxRow& r, int x) {
  const int64_t at = int64_t(x) * B;
  if (x >= 0 && x + 2 <= r.width)
    return _mm512_max_epi16(_mm512_max_epi16(_mm512_loadu_si512(r.a + at), _mm512_loadu_si512(r.b + at)),
                            _mm512_loadu_si512(r.c + at));
  const __mmask16 inside = __mmask16((x >= 0 && x < r.width ? 0xff : 0) | (x + 1 >= 0 && x + 1 < r.width ? 0xff00 : 0));
  const __m512i least = _mm512_set1_epi16(int16_t(0x8000));
  const auto load = [&](const Bf16* row) { return _mm512_mask_loadu_epi32(least, inside, row + at); };
  return _mm512_max_epi16(_mm512_max_epi16(load(r.a), load(r.b)), load(r.c));
}

/** Stores the window at column x whose elements are all negative in some channel. */
GOOGLENET_INLINE void store_negative(const MaxRow& r, int x, Bf16* dst) {
  const int last = smaller(x + 3, r.width);
  x = larger(x, 0);
  Vec best = load(r.a + int64_t(x) * B);
  for (int64_t at = int64_t(x) * B; at < int64_t(last) * B; at += B)
    best = max(max(max(load(r.a + at), best), load(r.b + at)), load(r.c + at));
  store(dst, best);
}

/** Windows at column x and the next one of the row, those of `count` that there are. */
template <int stride>
GOOGLENET_INLINE void store_pair(const MaxRow& r, __m512i best, int x, int count, Bf16* dst) {
  _mm512_mask_storeu_epi32(dst, __mmask16(count > 1 ? 0xffff : 0xff), best);
  if (__builtin_expect(_mm512_movepi16_mask(best) == 0, 1)) return;
  store_negative(r, x, dst);
  if (count > 1) store_negative(r, x + stride, dst + B);
}

/** The second of two columns and the first of the next two. */
GOOGLENET_INLINE __m512i between(__m512i two, __m512i next) { return _mm512_shuffle_i64x2(two, next, 0x4e); }

// Columns are loaded from even ones on, which are aligned in memory.
GOOGLENET_INLINE void max_row(const MaxRow& r, int stride, int count, Bf16* dst) {
  int x = r.start;
  if (stride == 1 && x % 2 != 0) {
    __m512i middle = column_pair(r, x + 1), left = between(column_pair(r, x - 1), middle);
    for (int i = 0; i < count; i += 2, x += 2, dst += 2 * B) {  // columns x .. x + 3
      const __m512i next = column_pair(r, x + 3), right = between(middle, next);
      store_pair<1>(r, _mm512_max_epi16(_mm512_max_epi16(left, middle), right), x, count - i, dst);
      left = right, middle = next;
    }
    return;
  }
  __m512i left = column_pair(r, x);
  if (stride == 1) {
    for (int i = 0; i < count; i += 2, x += 2, dst += 2 * B) {
      const __m512i right = column_pair(r, x + 2), middle = between(left, right);
      store_pair<1>(r, _mm512_max_epi16(_mm512_max_epi16(left, middle), right), x, count - i, dst);
      left = right;
    }
    return;
  }
  for (int i = 0; i < count; i += 2, x += 4, dst += 2 * B) {  // columns x .. x + 4
    const __m512i second = column_pair(r, x + 2), third = column_pair(r, x + 4);
    const __m512i firsts = _mm512_shuffle_i64x2(left, second, 0x44), seconds = _mm512_shuffle_i64x2(left, second, 0xee);
    const __m512i thirds = _mm512_shuffle_i64x2(second, third, 0x44);
    store_pair<2>(r, _mm512_max_epi16(_mm512_max_epi16(firsts, seconds), thirds), x, count - i, dst);
    left = third;
  }
}

#else

/** The largest of the three rows at column x. */
GOOGLENET_INLINE Vec column(const MaxRow& r, int x) {
  const int64_t at = int64_t(x) * B;
  return max(max(load(r.a + at), load(r.b + at)), load(r.c + at));
}

// A column outside is replaced by the nearest one inside, which always belongs to the same window.
GOOGLENET_INLINE void max_row(const MaxRow& r, int stride, int count, Element* dst) {
  const int last = r.width - 1;
  int x = r.start;
  Vec left = column(r, larger(x, 0));
  if (stride == 1) {
    Vec middle = column(r, smaller(larger(x + 1, 0), last));
    for (int i = 0; i < count; i++, x++) {
      const Vec right = column(r, smaller(x + 2, last));
      store(dst + int64_t(i) * B, max(max(left, middle), right));
      left = middle, middle = right;
    }
    return;
  }
  for (int i = 0; i < count; i++, x += 2) {
    const Vec middle = column(r, smaller(larger(x + 1, 0), last)), right = column(r, smaller(x + 2, last));
    store(dst + int64_t(i) * B, max(max(left, middle), right));
    left = right;
  }
}

#endif

}  // namespace googlenet::cpu::GOOGLENET_SIMD
