// Inputs of AMX convolutions, packed (amx-kernels.h).
#include "cpu/simd/amx-functions.h"
#include "cpu/simd/amx.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

constexpr int kAhead = 1024;  // elements of the source, that are fetched
alignas(64) const uint16_t kZeros[16] = {};

GOOGLENET_INLINE __m256i half_row(const AmxPart<uint16_t>& half, int64_t position) {
  const int32_t at = half.from[position];
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at < 0 ? kZeros : half.src + at));
}

/** 16 pixels of a plane, the upper halves of whose lanes are free; those at `keep` alone. */
GOOGLENET_INLINE __m512i pixels(const uint16_t* src, __mmask16 keep) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(keep, src));
}

}  // namespace

void amx_pack(const AmxPart<uint16_t> halves[2], int64_t count, uint16_t* packed) {
  const AmxPart<uint16_t> low = halves[0], high = halves[1];
  for (int64_t i = 0; i < count; i++, packed += kTileDepth) {
    __builtin_prefetch(low.src + low.from[i] + kAhead);
    if (high.src) __builtin_prefetch(high.src + high.from[i] + kAhead);
    __m512i row = _mm512_zextsi256_si512(half_row(low, i));
    if (high.src) row = _mm512_inserti64x4(row, half_row(high, i), 1);
    _mm512_store_si512(packed, row);
  }
}

void amx_pack_bytes(const AmxPart<uint8_t> quarters[4], int64_t count, uint8_t* packed) {
  for (int64_t i = 0; i < count; i++, packed += kTileRowBytes)
    for (int q = 0; q < 4; q++) {
      const AmxPart<uint8_t>& part = quarters[q];
      const int32_t at = part.src ? part.from[i] : -1;
      const void* from = at < 0 ? static_cast<const void*>(kZeros) : part.src + at;
      if (part.src && i % 4 == 0) __builtin_prefetch(part.src + at + kAhead);
      _mm_store_si128(reinterpret_cast<__m128i*>(packed + 16 * q), _mm_loadu_si128(static_cast<const __m128i*>(from)));
    }
}

void amx_pack_planar(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns,
                     uint16_t* packed) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  __builtin_memset(packed, 0, size_t(columns) * 4 * sizeof(uint16_t));
  if (!src) return;
  const int used = smaller(width, columns - pad);
  for (int x = 0; x < used; x += 16) {
    const __mmask16 keep = _cvtu32_mask16(used - x < 16 ? (1u << (used - x)) - 1 : 0xffff);
    __m512i planes[4];
    for (int c = 0; c < 4; c++) planes[c] = c < channels ? pixels(src + c * plane + x, keep) : _mm512_setzero_si512();
    const __m512i low = _mm512_or_si512(planes[0], _mm512_slli_epi32(planes[1], 16));
    const __m512i high = _mm512_or_si512(planes[2], _mm512_slli_epi32(planes[3], 16));
    uint16_t* to = packed + (pad + x) * 4;
    const int rest = used - x;
    _mm512_mask_storeu_epi64(to, _cvtu32_mask8(rest < 8 ? (1u << rest) - 1 : 0xff),
                             _mm512_permutex2var_epi32(low, first, high));
    if (rest > 8)
      _mm512_mask_storeu_epi64(to + 32, _cvtu32_mask8(rest < 16 ? (1u << (rest - 8)) - 1 : 0xff),
                               _mm512_permutex2var_epi32(low, second, high));
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
