// Packing for amx-gradient.cc: pixels into a line of grid positions, and a line into tiles. A pixel is 16 bf16.
#pragma once
#include "cpu/simd/amx-gradient.h"
#include "cpu/simd/amx.h"

namespace googlenet::cpu::avx512_bf16 {

constexpr int64_t kPixelBytes = 32;

GOOGLENET_INLINE void copy_pixels(const uint16_t* from, int64_t count, char* to) {
  int64_t i = 0;
  for (; i + 2 <= count; i += 2, from += 32, to += 64) _mm512_storeu_si512(to, _mm512_loadu_si512(from));
  if (i < count)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
GOOGLENET_INLINE void clear_pixels(int64_t count, char* to) {
  int64_t i = 0;
  for (; i + 2 <= count; i += 2, to += 64) _mm512_storeu_si512(to, _mm512_setzero_si512());
  if (i < count) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_setzero_si256());
}

/** Positions [first, last) of one channel block, whose plane in image 0 is `plane`. */
GOOGLENET_INLINE void gather(const AmxMaps& maps, const AmxGradientShape& s, const uint16_t* plane, int64_t first,
                             int64_t last, char* line) {
  int64_t row = first / s.pitch;
  int image = int(row / s.rows), y = int(row % s.rows) - maps.top;
  for (int64_t at = first; at < last;) {
    const int64_t start = row * s.pitch + maps.left, end = smaller((row + 1) * s.pitch, last);
    const bool pixels = image < s.images && y >= 0 && y < maps.h;
    const int64_t from = pixels ? smaller(larger(start, at), end) : end;
    const int64_t to = pixels ? larger(smaller(start + maps.w, end), from) : end;
    clear_pixels(from - at, line);
    if (from < to)
      copy_pixels(plane + image * maps.image + (int64_t(y) * maps.w + from - start) * 16, to - from,
                  line + (from - at) * kPixelBytes);
    clear_pixels(end - to, line + (to - at) * kPixelBytes);
    line += (end - at) * kPixelBytes, at = end, row++;
    if (++y == s.rows - maps.top) y = -maps.top, image++;
  }
}

/** Two pixels [2][16] as [16][2]. */
GOOGLENET_INLINE __m512i pair_order() {
  alignas(64) static constexpr uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_load_si512(order);
}

GOOGLENET_INLINE void pack_pairs(const char* line, int64_t pairs, char* to) {
  const __m512i order = pair_order();
  for (int64_t i = 0; i < pairs; i++)
    _mm512_store_si512(to + i * 64, _mm512_permutexvar_epi16(order, _mm512_loadu_si512(line + i * 64)));
}

/** [16][16] of 4 bytes transposed. */
GOOGLENET_INLINE void transpose(__m512i (&v)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2)
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]), t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // v[i + k]: column 4 * lane + k of rows i .. i + 3
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]), v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]), v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {  // lanes 0 and 2, 1 and 3 of rows 0 .. 7 and 8 .. 15
    t[k] = _mm512_shuffle_i32x4(v[k], v[4 + k], 0x88), t[4 + k] = _mm512_shuffle_i32x4(v[k], v[4 + k], 0xdd);
    t[8 + k] = _mm512_shuffle_i32x4(v[8 + k], v[12 + k], 0x88);
    t[12 + k] = _mm512_shuffle_i32x4(v[8 + k], v[12 + k], 0xdd);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    v[k] = _mm512_shuffle_i32x4(t[k], t[8 + k], 0x88), v[8 + k] = _mm512_shuffle_i32x4(t[k], t[8 + k], 0xdd);
    v[4 + k] = _mm512_shuffle_i32x4(t[4 + k], t[12 + k], 0x88);
    v[12 + k] = _mm512_shuffle_i32x4(t[4 + k], t[12 + k], 0xdd);
  }
}

/** A line as tiles [step][16 channels][32 positions]; its sums over positions are added to `sums`. */
GOOGLENET_INLINE void pack_transposed(const char* line, int64_t steps, char* to, float* sums) {
  const __m512i order = pair_order(), ones = _mm512_set1_epi16(0x3f80);
  __m512 total = _mm512_loadu_ps(sums);
  for (int64_t s = 0; s < steps; s++, line += 1024, to += 1024) {
    __m512i v[16];
    __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
      v[i] = _mm512_permutexvar_epi16(order, _mm512_loadu_si512(line + i * 64));
      sum[i % 2] = _mm512_dpbf16_ps(sum[i % 2], __m512bh(v[i]), __m512bh(ones));
    }
    total = _mm512_add_ps(total, _mm512_add_ps(sum[0], sum[1]));
    transpose(v);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_store_si512(to + i * 64, v[i]);
  }
  _mm512_storeu_ps(sums, total);
}

/** to[input * step + tap] = tiles[tap * 256 + input], 16 inputs. */
GOOGLENET_INLINE void unpack_taps(const float* tiles, int taps, float* to, int64_t step) {
  for (int first = 0; first < taps; first += 16) {
    const int count = smaller(16, taps - first);
    if (count == 1) {
      const __m512 value = _mm512_loadu_ps(tiles + first * 256);
      if (step == 1) {
        _mm512_storeu_ps(to, value);
        continue;
      }
    }
    __m512i v[16];
#pragma GCC unroll 16
    for (int t = 0; t < 16; t++)
      v[t] = t < count ? _mm512_loadu_si512(tiles + (first + t) * 256) : _mm512_setzero_si512();
    transpose(v);
    const __mmask16 mask = __mmask16((1u << count) - 1);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_mask_storeu_epi32(to + i * step + first, mask, v[i]);
  }
}

}  // namespace googlenet::cpu::avx512_bf16
