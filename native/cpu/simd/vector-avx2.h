// vector.h for AVX2 + FMA: 8 floats.
#pragma once
#include <immintrin.h>

namespace googlenet::cpu::GOOGLENET_SIMD {

constexpr int B = 8;
constexpr int kProductRows = 6, kChunkVectors = 2;  // of 16 registers 12 accumulate, 2 hold weights, 1 an input
constexpr int kFewestPixels[] = {32, 32, 96};       // for Winograd: forward, backward data, backward weights
typedef __m256 Vec;
struct Mask {
  __m256 bits;
};
struct Index {
  __m256i words;  // one 32-bit word per lane
};

GOOGLENET_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
GOOGLENET_INLINE void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
GOOGLENET_INLINE Vec zero() { return _mm256_setzero_ps(); }
GOOGLENET_INLINE Vec all(float x) { return _mm256_set1_ps(x); }
GOOGLENET_INLINE Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
GOOGLENET_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
GOOGLENET_INLINE Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
GOOGLENET_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
/** a > b ? a : b: b when either is NaN. */
GOOGLENET_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
GOOGLENET_INLINE Mask greater(Vec a, Vec b) { return {_mm256_cmp_ps(a, b, _CMP_GT_OQ)}; }
GOOGLENET_INLINE Vec choose(Mask m, Vec a, Vec b) { return _mm256_blendv_ps(b, a, m.bits); }
/** value, but 0 where x <= 0. */
GOOGLENET_INLINE Vec keep_positive(Vec x, Vec value) {
  return _mm256_and_ps(_mm256_cmp_ps(x, zero(), _CMP_NLE_UQ), value);
}

GOOGLENET_INLINE Index index_of(int code) { return {_mm256_set1_epi32(code)}; }
GOOGLENET_INLINE Index choose(Mask m, Index a, Index b) {
  return {_mm256_blendv_epi8(b.words, a.words, _mm256_castps_si256(m.bits))};
}
GOOGLENET_INLINE void store_index(uint8_t* p, Index i) {
  const __m128i pairs = _mm_packus_epi32(_mm256_castsi256_si128(i.words), _mm256_extracti128_si256(i.words, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(pairs, pairs));
}
/** sum + value in the lanes whose index is `code`. */
GOOGLENET_INLINE Vec add_where(const uint8_t* index, Index code, Vec sum, Vec value) {
  const __m256i found = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(index)));
  return add(sum, _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(found, code.words)), value));
}

GOOGLENET_INLINE Vec divide(Vec a, Vec b) { return _mm256_div_ps(a, b); }
GOOGLENET_INLINE Vec root(Vec x) { return _mm256_sqrt_ps(x); }
/** x^-0.75, and 1 / x. */
GOOGLENET_INLINE Vec power_three_quarters(Vec x, Vec* inverse) {
  const Vec root = _mm256_sqrt_ps(x);
  *inverse = divide(all(1.0f), x);
  return mul(*inverse, _mm256_sqrt_ps(root));  // x^-1 * x^(1/4)
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
