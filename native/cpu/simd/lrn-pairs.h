// LRN across channels in bf16, with the paper's window of 5 and beta of 0.75: lanes are pairs of neighbouring channels,
// so that 32 channels are worked on together. A window is a pair and half of what is beside it:
//   channel 2i      pair(i - 1) + pair(i) + even(i + 1)
//   channel 2i + 1  odd(i - 1) + pair(i) + pair(i + 1)
#pragma once
#include "cpu/simd/vector.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

constexpr int kTogether = 2;  // pixels

/** 32 channels: those of even number, those of odd number, and their squares, which pair adds up. */
struct Pairs {
  Vec even, odd, even_square, odd_square, pair;
};
GOOGLENET_INLINE Pairs pairs_of(__m512i x) {
  Pairs p;
  p.even = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
  p.odd = _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(int(0xffff0000))));
  p.even_square = mul(p.even, p.even), p.odd_square = mul(p.odd, p.odd);
  p.pair = add(p.even_square, p.odd_square);
  return p;
}

/** x * s^-0.75, rounded to a bf16 in the upper half of each lane. */
GOOGLENET_INLINE __m512i scaled(Vec x, Vec s) {
  const Vec r = _mm512_rsqrt14_ps(s), power = mul(mul(r, r), _mm512_rsqrt14_ps(r));            // to 13 bits
  const Vec a = mul(s, power), error = _mm512_fnmadd_ps(mul(a, a), mul(a, power), all(1.0f));  // 1 - s^3 power^4
  const Vec y = mul(x, fma(mul(power, all(0.25f)), error, power));
  return _mm512_add_epi32(_mm512_castps_si512(y), _mm512_set1_epi32(0x8000));
}

/** All channels of `pixels` pixels, side by side in every plane. */
template <int pixels>
GOOGLENET_INLINE void forward_five(const LrnShape& p, const Bf16* src, Bf16* dst) {
  const Vec k = all(p.k), scale = all(p.scale);
  const auto load_at = [&](int block, int t) {
    const Bf16* at = src + block * p.plane + t * B;
    __builtin_prefetch(at + 8 * pixels * B), __builtin_prefetch(at + p.plane + 8 * pixels * B);
    const __m512i low = _mm512_zextsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
    if (block + 1 == p.blocks) return low;
    return _mm512_inserti64x4(low, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + p.plane)), 1);
  };
  Pairs now[pixels];
  Vec odd_before[pixels], pair_before[pixels];
  for (int t = 0; t < pixels; t++) now[t] = pairs_of(load_at(0, t)), odd_before[t] = pair_before[t] = zero();
  for (int block = 0; block < p.blocks; block += 2) {
#pragma GCC unroll 2
    for (int t = 0; t < pixels; t++) {
      const Pairs x = now[t];
      const Pairs after = pairs_of(block + 2 < p.blocks ? load_at(block + 2, t) : _mm512_setzero_si512());
      const Vec even =
          add(add(slide<B - 1>(pair_before[t], x.pair), x.pair), slide<1>(x.even_square, after.even_square));
      const Vec odd = add(add(slide<B - 1>(odd_before[t], x.odd_square), x.pair), slide<1>(x.pair, after.pair));
      const __m512i y = _mm512_mask_mov_epi16(_mm512_srli_epi32(scaled(x.even, fma(scale, even, k)), 16), 0xaaaaaaaa,
                                              scaled(x.odd, fma(scale, odd, k)));
      Bf16* to = dst + block * p.plane + t * B;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(y));
      if (block + 1 < p.blocks)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + p.plane), _mm512_extracti64x4_epi64(y, 1));
      odd_before[t] = x.odd_square, pair_before[t] = x.pair, now[t] = after;
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
