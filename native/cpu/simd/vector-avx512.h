// vector.h for AVX-512 F + BW + VL + DQ: 16 floats.
#pragma once
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own _mm512_undefined_ps (GCC bug 105593)
#endif
#include <immintrin.h>

namespace googlenet::cpu::GOOGLENET_SIMD {

constexpr int B = 16;
constexpr int kProductRows = 14, kChunkVectors = 2;  // of 32 registers 28 accumulate, 2 hold weights, 1 an input
constexpr int kFewestPixels[] = {64, 64, 128};       // for Winograd: forward, backward data, backward weights
typedef __m512 Vec;
typedef __mmask16 Mask;
typedef __m128i Index;  // 16 bytes

GOOGLENET_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
GOOGLENET_INLINE void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
GOOGLENET_INLINE Vec zero() { return _mm512_setzero_ps(); }
GOOGLENET_INLINE Vec all(float x) { return _mm512_set1_ps(x); }
GOOGLENET_INLINE Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
GOOGLENET_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
GOOGLENET_INLINE Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
GOOGLENET_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
/** a > b ? a : b: b when either is NaN. */
GOOGLENET_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
GOOGLENET_INLINE Mask greater(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
GOOGLENET_INLINE Vec choose(Mask m, Vec a, Vec b) { return _mm512_mask_mov_ps(b, m, a); }
/** value, but 0 where x <= 0. */
GOOGLENET_INLINE Vec keep_positive(Vec x, Vec value) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_NLE_UQ), value);
}

GOOGLENET_INLINE Index index_of(int code) { return _mm_set1_epi8(static_cast<char>(code)); }
GOOGLENET_INLINE Index choose(Mask m, Index a, Index b) { return _mm_mask_mov_epi8(b, m, a); }
GOOGLENET_INLINE void store_index(uint8_t* p, Index i) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), i); }
/** sum + value in the lanes whose index is `code`. */
GOOGLENET_INLINE Vec add_where(const uint8_t* index, Index code, Vec sum, Vec value) {
  const Mask m = _mm_cmpeq_epi8_mask(_mm_loadu_si128(reinterpret_cast<const __m128i*>(index)), code);
  return _mm512_mask_add_ps(sum, m, sum, value);
}

/** 1 / sqrt(x) to about 1 ulp: 14 bits and one Newton step, a third of the time of vsqrtps and vdivps. */
GOOGLENET_INLINE Vec inverse_root(Vec x) {
  const Vec r = _mm512_rsqrt14_ps(x);
  const Vec e = _mm512_fnmadd_ps(mul(x, r), r, all(1.0f));  // 1 - x r^2
  return fma(mul(r, all(0.5f)), e, r);
}
/** x^-0.75, and 1 / x. */
GOOGLENET_INLINE Vec power_three_quarters(Vec x, Vec* inverse) {
  const Vec r = inverse_root(x);
  *inverse = mul(r, r);
  return mul(*inverse, inverse_root(r));  // x^-1 * x^(1/4)
}
constexpr bool kSlides = true;
/** Lanes [lane, lane + 16) of low and, behind it, high. */
template <int lane>
GOOGLENET_INLINE Vec slide(Vec low, Vec high) {
  return _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(high), _mm512_castps_si512(low), lane));
}
GOOGLENET_INLINE Vec divide(Vec a, Vec b) { return _mm512_div_ps(a, b); }
GOOGLENET_INLINE Vec root(Vec x) { return _mm512_sqrt_ps(x); }

}  // namespace googlenet::cpu::GOOGLENET_SIMD
