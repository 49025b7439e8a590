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

}  // namespace googlenet::cpu::GOOGLENET_SIMD
