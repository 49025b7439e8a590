// vector.h for AVX-512 with bf16: 16 floats in registers, bf16 or floats in memory.
#pragma once
#include "cpu/simd/vector-avx512.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

GOOGLENET_INLINE Vec load(const Bf16* p) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
/** To the nearest, ties to even; what is denormal becomes 0. */
GOOGLENET_INLINE void store(Bf16* p, Vec v) {
  const __m256bh halves = _mm512_cvtneps_pbh(v);
  __builtin_memcpy(p, &halves, sizeof halves);
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
