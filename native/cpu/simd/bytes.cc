// Pooling of u8 at inference: planes [h][w][16]. Of 3x3 windows, all of GoogLeNet's maxima, a row's columns are each
// reduced once.
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

constexpr int kBlock = 16;

GOOGLENET_INLINE __m128i bytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

/** Rows [y0, y1) of column x. */
GOOGLENET_INLINE __m128i column_max(const uint8_t* src, int64_t row, int y0, int y1, int x) {
  const uint8_t* at = src + y0 * row + int64_t(x) * kBlock;
  __m128i best = _mm_setzero_si128();
  for (int y = y0; y < y1; y++, at += row) best = _mm_max_epu8(best, bytes(at));
  return best;
}

void max_forward_bytes(const PoolShape& p, const uint8_t* src, uint8_t* dst, int first, int last) {
  const int64_t row = int64_t(p.w) * kBlock;
  const auto inside = [&](int x) { return x >= 0 && x < p.w; };
  for (int oy = first; oy < last; oy++) {
    const int top = oy * p.stride_h - p.pad_h;
    const int y0 = larger(top, 0), y1 = smaller(top + p.kernel_h, p.h);
    const auto column = [&](int x) { return inside(x) ? column_max(src, row, y0, y1, x) : _mm_setzero_si128(); };
    uint8_t* to = dst + int64_t(oy) * p.out_w * kBlock;
    const bool by_three = p.kernel_w == 3 && p.stride_w <= 2;
    __m128i left = column(-p.pad_w), middle = column(1 - p.pad_w);
    for (int ox = 0; ox < p.out_w; ox++, to += kBlock) {
      const int x = ox * p.stride_w - p.pad_w;
      __m128i best;
      if (by_three) {
        const __m128i right = column(x + 2);
        best = _mm_max_epu8(_mm_max_epu8(left, middle), right);
        left = p.stride_w == 1 ? middle : right;
        middle = p.stride_w == 1 ? right : column(x + 3);
      } else {
        best = _mm_setzero_si128();
        for (int k = 0; k < p.kernel_w; k++) best = _mm_max_epu8(best, column(x + k));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), best);
    }
  }
}

void average_forward_bytes(const PoolShape& p, const float* scales, const uint8_t* src, Bf16* dst, int first,
                           int last) {
  const Vec scale = load(scales);
  for (int oy = first; oy < last; oy++) {
    const int top = oy * p.stride_h - p.pad_h;
    const int y0 = larger(top, 0), y1 = smaller(top + p.kernel_h, p.h);
    for (int ox = 0; ox < p.out_w; ox++) {
      const int left = ox * p.stride_w - p.pad_w;
      const int x0 = larger(left, 0), x1 = smaller(left + p.kernel_w, p.w);
      __m512i sum = _mm512_setzero_si512();
      for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
          sum = _mm512_add_epi32(sum, _mm512_cvtepu8_epi32(bytes(src + (int64_t(y) * p.w + x) * kBlock)));
      const int64_t o = int64_t(oy) * p.out_w + ox;
      store(dst + o * kBlock, mul(mul(_mm512_cvtepi32_ps(sum), scale), all(p.inverse_area[o])));
    }
  }
}

}  // namespace
}  // namespace googlenet::cpu::GOOGLENET_SIMD

namespace googlenet::cpu {

const ByteKernels& bytes_avx512_bf16() {
  static const ByteKernels table = {GOOGLENET_SIMD::max_forward_bytes, GOOGLENET_SIMD::average_forward_bytes};
  return table;
}

}  // namespace googlenet::cpu
