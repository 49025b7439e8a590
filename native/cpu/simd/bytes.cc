// Pooling of u8 at inference: planes [h][w][16]. With AVX-512, of windows of three columns, all of GoogLeNet's maxima,
// four are worked on together.
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

constexpr int kBlock = B;

typedef uint8_t Bytes __attribute__((vector_size(kBlock)));
GOOGLENET_INLINE Bytes bytes(const uint8_t* p) {
  Bytes v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

#if GOOGLENET_WIDTH == 512

/** Largest of rows [y0, y1) at columns x to x + 3; 0 outside the plane. */
GOOGLENET_INLINE __m512i four_columns(const PoolShape& p, const uint8_t* src, int y0, int y1, int x) {
  __mmask16 inside = 0xffff;  // a pixel is four lanes
  if (x < 0) inside = __mmask16(inside << 4 * smaller(-x, 4));
  if (x + 4 > p.w) inside &= __mmask16(0xffff >> 4 * smaller(x + 4 - p.w, 4));
  __m512i best = _mm512_setzero_si512();
  for (int y = y0; y < y1; y++)
    best = _mm512_max_epu8(best, _mm512_maskz_loadu_epi32(inside, src + (int64_t(y) * p.w + x) * kBlock));
  return best;
}

/** A row of windows of three columns, four at a time. */
GOOGLENET_INLINE void max_row(const PoolShape& p, const uint8_t* src, int y0, int y1, uint8_t* dst) {
  int x = -p.pad_w;
  __m512i first = four_columns(p, src, y0, y1, x);
  for (int ox = 0; ox < p.out_w; ox += 4, x += 4 * p.stride_w, dst += 4 * kBlock) {
    const __m512i second = four_columns(p, src, y0, y1, x + 4);
    __m512i left = first, middle, right;
    if (p.stride_w == 1) {
      middle = _mm512_alignr_epi32(second, first, 4), right = _mm512_alignr_epi32(second, first, 8);
      first = second;
    } else {
      first = four_columns(p, src, y0, y1, x + 8);
      middle = _mm512_shuffle_i32x4(left, second, 0xdd), left = _mm512_shuffle_i32x4(left, second, 0x88);
      right = _mm512_alignr_epi32(first, left, 4);
    }
    const int count = smaller(4, p.out_w - ox);
    _mm512_mask_storeu_epi32(dst, __mmask16(0xffff >> 4 * (4 - count)),
                             _mm512_max_epu8(_mm512_max_epu8(left, middle), right));
  }
}

#endif

void max_forward_bytes(const PoolShape& p, const uint8_t* src, uint8_t* dst, int first, int last) {
  for (int oy = first; oy < last; oy++) {
    const int top = oy * p.stride_h - p.pad_h;
    const int y0 = larger(top, 0), y1 = smaller(top + p.kernel_h, p.h);
    uint8_t* to = dst + int64_t(oy) * p.out_w * kBlock;
#if GOOGLENET_WIDTH == 512
    if (p.kernel_w == 3 && p.stride_w <= 2) {
      max_row(p, src, y0, y1, to);
      continue;
    }
#endif
    for (int ox = 0; ox < p.out_w; ox++, to += kBlock) {
      const int left = ox * p.stride_w - p.pad_w;
      const int x0 = larger(left, 0), x1 = smaller(left + p.kernel_w, p.w);
      Bytes best = {};
      for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
          const Bytes pixel = bytes(src + (int64_t(y) * p.w + x) * kBlock);
          best = pixel > best ? pixel : best;
        }
      __builtin_memcpy(to, &best, sizeof best);
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
      Ints total = all_ints(0);
      for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) total = sum(total, load_bytes(src + (int64_t(y) * p.w + x) * kBlock));
      const int64_t o = int64_t(oy) * p.out_w + ox;
      store(dst + o * kBlock, mul(mul(to_floats(total), scale), all(p.inverse_area[o])));
    }
  }
}

}  // namespace
}  // namespace googlenet::cpu::GOOGLENET_SIMD

namespace googlenet::cpu {

const ByteKernels& GOOGLENET_JOIN(bytes_, GOOGLENET_SIMD)() {
  static const ByteKernels table = {GOOGLENET_SIMD::max_forward_bytes, GOOGLENET_SIMD::average_forward_bytes};
  return table;
}

}  // namespace googlenet::cpu
