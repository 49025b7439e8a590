// vector.h for bf16 on AVX-512: 16 floats in registers, bf16 or floats in memory.
#pragma once
#include "cpu/simd/vector-avx512.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

GOOGLENET_INLINE Vec load(const Bf16* p) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
/** Sixteen bf16: to the nearest, ties to even; what is denormal becomes 0. */
GOOGLENET_INLINE __m256i narrowed(Vec v) {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v));
#else
  const __m512i bits = _mm512_castps_si512(v), half = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(half, _mm512_set1_epi32(1));
  __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff)), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __mmask16 small = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
  rounded = _mm512_mask_or_epi32(rounded, nan, half, _mm512_set1_epi32(0x40));
  rounded = _mm512_mask_and_epi32(rounded, small, half, _mm512_set1_epi32(0x8000));
  return _mm512_cvtepi32_epi16(rounded);
#endif
}
GOOGLENET_INLINE void store(Bf16* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrowed(v)); }

typedef __m512i Ints;  // 16 words
GOOGLENET_INLINE Ints load_ints(const void* p) { return _mm512_loadu_si512(p); }
GOOGLENET_INLINE void store_ints(void* p, Ints v) { _mm512_storeu_si512(p, v); }
GOOGLENET_INLINE Ints all_ints(int32_t x) { return _mm512_set1_epi32(x); }
GOOGLENET_INLINE Vec to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
/** To the nearest, ties to even. */
GOOGLENET_INLINE Ints to_ints(Vec v) { return _mm512_cvtps_epi32(v); }
GOOGLENET_INLINE Ints both(Ints a, Ints b) { return _mm512_and_si512(a, b); }
GOOGLENET_INLINE Ints either(Ints a, Ints b) { return _mm512_or_si512(a, b); }
GOOGLENET_INLINE Ints sum(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
GOOGLENET_INLINE Ints shift_left(Ints v, int bits) { return _mm512_slli_epi32(v, unsigned(bits)); }
GOOGLENET_INLINE Ints load_bytes(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
/** Rounded to the nearest, ties to even, of 0 to 255; what is more becomes 255, and so does a NaN. */
GOOGLENET_INLINE void store_bytes(uint8_t* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(to_ints(v)));
}
/** Floats `stride` apart. */
GOOGLENET_INLINE Vec gather(const float* p, int64_t stride) {
  const Ints lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_i32gather_ps(_mm512_mullo_epi32(lanes, all_ints(int(stride))), p, 4);
}
/** Adds the products of a word's factors: four of u8 by s8. */
constexpr int kFactors = 4;
#ifdef __AVX512VNNI__
constexpr char kProducts[] = "avx512_vnni";
GOOGLENET_INLINE Ints dot(Ints sum, Ints x, Ints w) { return _mm512_dpbusd_epi32(sum, x, w); }
#endif

}  // namespace googlenet::cpu::GOOGLENET_SIMD
