// Inputs of convolutions by tiles, packed (tile-kernels.h).
#include "cpu/simd/tile-functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

constexpr int kAhead = 1024;  // elements of the source, that are fetched
alignas(64) const uint16_t kZeros[B] = {};

/** 16 channels of a position. */
template <class Element>
GOOGLENET_INLINE const Element* channels_of(const TilePart<Element>& part, int64_t position) {
  const int32_t at = part.src ? part.from[position] : -1;
  return at < 0 ? reinterpret_cast<const Element*>(kZeros) : part.src + at;
}

/** 16 bytes as they are, or as s16. */
GOOGLENET_INLINE void copy_bytes(const uint8_t* from, char* to) {
  if constexpr (kFactors == 4) {
    __builtin_memcpy(to, from, B);
  } else {
    int16_t words[B];
    for (int i = 0; i < B; i++) words[i] = from[i];
    __builtin_memcpy(to, words, sizeof words);
  }
}

}  // namespace

void tile_pack(const TilePart<uint16_t> parts[], int64_t count, void* packed) {
  char* to = static_cast<char*>(packed);
  const TilePart<uint16_t> part[] = {parts[0], parts[kBf16Parts - 1]};
  for (int64_t i = 0; i < count; i++)
    for (int p = 0; p < kBf16Parts; p++, to += kTileRowBytes / kBf16Parts) {
      const uint16_t* from = channels_of(part[p], i);
      __builtin_prefetch(from + kAhead);
      if constexpr (kBf16Parts == 2)
        __builtin_memcpy(to, from, B * sizeof(uint16_t));
      else
        store(reinterpret_cast<float*>(to), load(reinterpret_cast<const Bf16*>(from)));
    }
}

void tile_pack_bytes(const TilePart<uint8_t> parts[], int64_t count, void* packed) {
  char* to = static_cast<char*>(packed);
  TilePart<uint8_t> part[kFactors];
  for (int p = 0; p < kFactors; p++) part[p] = parts[p];
  for (int64_t i = 0; i < count; i++)
    for (int p = 0; p < kFactors; p++, to += kTileRowBytes / kFactors) {
      const uint8_t* from = channels_of(part[p], i);
      if (i % 4 == 0) __builtin_prefetch(from + kAhead);
      copy_bytes(from, to);
    }
}

#ifdef __AMX_BF16__

/** 16 pixels of a plane, the upper halves of whose lanes are free; those at `keep` alone. */
static __m512i pixels(const uint16_t* src, __mmask16 keep) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(keep, src));
}

void tile_pack_planar(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns, void* packed) {
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
    uint16_t* to = static_cast<uint16_t*>(packed) + (pad + x) * 4;
    const int rest = used - x;
    _mm512_mask_storeu_epi64(to, _cvtu32_mask8(rest < 8 ? (1u << rest) - 1 : 0xff),
                             _mm512_permutex2var_epi32(low, first, high));
    if (rest > 8)
      _mm512_mask_storeu_epi64(to + 32, _cvtu32_mask8(rest < 16 ? (1u << (rest - 8)) - 1 : 0xff),
                               _mm512_permutex2var_epi32(low, second, high));
  }
}

#else

void tile_pack_planar(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns, void* packed) {
  __builtin_memset(packed, 0, size_t(columns) * size_t(channels) * sizeof(float));
  if (!src) return;
  const int used = smaller(width, columns - pad);
  uint32_t* to = static_cast<uint32_t*>(packed) + pad * channels;
  for (int c = 0; c < channels; c++)
    for (int x = 0; x < used; x++) to[x * channels + c] = uint32_t(src[c * plane + x]) << 16;
}

#endif

}  // namespace googlenet::cpu::GOOGLENET_SIMD
