// vector.h for AVX2 + FMA: 8 floats.
#pragma once
#include <immintrin.h>

namespace googlenet::cpu::GOOGLENET_LANES {

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

typedef __m256i Ints;  // 8 words
GOOGLENET_INLINE Ints load_ints(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
GOOGLENET_INLINE void store_ints(void* p, Ints v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
GOOGLENET_INLINE Ints all_ints(int32_t x) { return _mm256_set1_epi32(x); }
GOOGLENET_INLINE Ints as_ints(Vec v) { return _mm256_castps_si256(v); }
GOOGLENET_INLINE Vec as_floats(Ints v) { return _mm256_castsi256_ps(v); }
GOOGLENET_INLINE Vec to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
/** To the nearest, ties to even. */
GOOGLENET_INLINE Ints to_ints(Vec v) { return _mm256_cvtps_epi32(v); }
GOOGLENET_INLINE Ints both(Ints a, Ints b) { return _mm256_and_si256(a, b); }
GOOGLENET_INLINE Ints either(Ints a, Ints b) { return _mm256_or_si256(a, b); }
GOOGLENET_INLINE Ints sum(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
GOOGLENET_INLINE Ints shift_left(Ints v, int bits) { return _mm256_slli_epi32(v, bits); }
GOOGLENET_INLINE Ints shift_right(Ints v, int bits) { return _mm256_srli_epi32(v, bits); }
/** Words of 0 to 255 as bytes, and bytes as words. */
GOOGLENET_INLINE void store_bytes(uint8_t* p, Ints v) {
  const __m128i pairs = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(pairs, pairs));
}
GOOGLENET_INLINE Ints load_bytes(const uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
/** Halves of words: into the upper ones, and back. */
GOOGLENET_INLINE Ints load_uppers(const Bf16* p) {
  return shift_left(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16);
}
GOOGLENET_INLINE void store_uppers(Bf16* p, Ints v) {
  v = shift_right(v, 16);
  const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(halves));
}
/** x where the words of m are 0, else y. */
GOOGLENET_INLINE Ints where_zero(Ints m, Ints x, Ints y) {
  return _mm256_blendv_epi8(y, x, _mm256_cmpeq_epi32(m, _mm256_setzero_si256()));
}
/** Adds the products of a word's factors: four of u8 by s8, or two of s16. */
#ifdef __AVXVNNI__
constexpr char kProducts[] = "avx2_vnni";
constexpr int kFactors = 4;
GOOGLENET_INLINE Ints dot(Ints sum, Ints x, Ints w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
#else
constexpr char kProducts[] = "avx2";
constexpr int kFactors = 2;
GOOGLENET_INLINE Ints dot(Ints sum, Ints x, Ints w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
#endif

GOOGLENET_INLINE Index index_of(int code) { return {_mm256_set1_epi32(code)}; }
GOOGLENET_INLINE Index choose(Mask m, Index a, Index b) {
  return {_mm256_blendv_epi8(b.words, a.words, _mm256_castps_si256(m.bits))};
}
GOOGLENET_INLINE void store_index(uint8_t* p, Index i) { store_bytes(p, i.words); }
/** sum + value in the lanes whose index is `code`. */
GOOGLENET_INLINE Vec add_where(const uint8_t* index, Index code, Vec sum, Vec value) {
  const Ints found = _mm256_cmpeq_epi32(load_bytes(index), code.words);
  return add(sum, _mm256_and_ps(as_floats(found), value));
}

GOOGLENET_INLINE Vec divide(Vec a, Vec b) { return _mm256_div_ps(a, b); }
GOOGLENET_INLINE Vec root(Vec x) { return _mm256_sqrt_ps(x); }
/** x^-0.75, and 1 / x. */
GOOGLENET_INLINE Vec power_three_quarters(Vec x, Vec* inverse) {
  const Vec root = _mm256_sqrt_ps(x);
  *inverse = divide(all(1.0f), x);
  return mul(*inverse, _mm256_sqrt_ps(root));  // x^-1 * x^(1/4)
}

}  // namespace googlenet::cpu::GOOGLENET_LANES
