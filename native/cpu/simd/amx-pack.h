// Packing for amx-gradient.cc: pixels into a line of grid positions, and a line into tiles. A pixel is 16 bf16.
#pragma once
#include "cpu/simd/amx-gradient.h"
#include "cpu/simd/amx.h"

namespace googlenet::cpu::avx512_bf16 {

constexpr int64_t kPixelBytes = 32, kLinePixels = 512, kLineBytes = (kLinePixels + 4) * kPixelBytes;
constexpr int kMostLines = 8;  // asked for at a time

/** Words of the rows that pack_taps() copies: 8 pairs of rows. */
GOOGLENET_INLINE int64_t planar_line(const AmxGradientShape& s) {
  return 16 * int64_t(((s.pitch - 1) * s.stride_w + 16 + 31) / 32 * 32 + 32);
}

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

/** How many of the positions from `first` on lie side by side in memory: the rest of an image without zeros. */
GOOGLENET_INLINE int64_t contiguous(const AmxMaps& maps, const AmxGradientShape& s, int64_t first) {
  const int64_t pixels = int64_t(s.pitch) * s.rows;
  return s.pitch == maps.w && s.rows == maps.h && first < s.images * pixels ? pixels - first % pixels : 0;
}
GOOGLENET_INLINE const char* pixel(const AmxMaps& maps, const AmxGradientShape& s, const uint16_t* plane, int64_t at) {
  const int64_t pixels = int64_t(s.pitch) * s.rows;
  return reinterpret_cast<const char*>(plane + at / pixels * maps.image + at % pixels * 16);
}

/** `count` positions from `first` on in pairs, from the first on and, where `odd` is not null, from the second on. */
GOOGLENET_INLINE void pack_pairs(const AmxMaps& maps, const AmxGradientShape& s, const uint16_t* plane, int64_t first,
                                 int64_t count, char* line, char* even, char* odd) {
  const __m512i order = pair_order();
  for (int64_t done = 0; done < count;) {
    const int64_t here = odd ? 0 : contiguous(maps, s, first + done) / 2 * 2;
    int64_t now = smaller(here ? here : kLinePixels, (count - done + 1) / 2 * 2);
    const char* from = line;
    if (here) {
      from = pixel(maps, s, plane, first + done);
    } else {
      if (!odd && contiguous(maps, s, first + done)) now = 2;
      gather(maps, s, plane, first + done, first + done + now + 1, line);
    }
    for (int64_t i = 0; i < now / 2; i++, even += 64) {
      _mm512_store_si512(even, _mm512_permutexvar_epi16(order, _mm512_loadu_si512(from + i * 64)));
      if (!odd) continue;
      _mm512_store_si512(odd, _mm512_permutexvar_epi16(order, _mm512_loadu_si512(from + i * 64 + kPixelBytes)));
      odd += 64;
    }
    done += now;
  }
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

/** One step [32 positions][16 channels] as [16 channels][32 positions]; returns the sums over positions. */
GOOGLENET_INLINE Vec pack_step(const char* line, char* to) {
  const __m512i order = pair_order(), ones = _mm512_set1_epi16(0x3f80);
  __m512i v[16];
  Vec sum[2] = {zero(), zero()};
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) {
    v[i] = _mm512_permutexvar_epi16(order, _mm512_loadu_si512(line + i * 64));
    sum[i % 2] = _mm512_dpbf16_ps(sum[i % 2], __m512bh(v[i]), __m512bh(ones));
  }
  transpose(v);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) _mm512_store_si512(to + i * 64, v[i]);
  return add(sum[0], sum[1]);
}

/** Steps of one channel block as tiles [step][16 channels][32 positions]; their sums are added to `sums`, if not null. */
GOOGLENET_INLINE void pack_transposed(const AmxMaps& maps, const AmxGradientShape& s, const uint16_t* plane,
                                      int64_t first, int64_t count, char* line, char* to, float* sums) {
  Vec total = sums ? load(sums) : zero();
  for (int64_t done = 0; done < count;) {
    const int64_t position = (first + done) * kTileDepth, here = contiguous(maps, s, position) / kTileDepth;
    const char* from = line;
    int64_t now = smaller(here ? here : kLinePixels / kTileDepth, count - done);
    if (here) {
      from = pixel(maps, s, plane, position);
    } else {
      if (contiguous(maps, s, position)) now = 1;
      gather(maps, s, plane, position, position + now * kTileDepth, line);
    }
    for (int64_t i = 0; i < now; i++, to += kTileBytes) total = add(total, pack_step(from + i * kTileBytes, to));
    done += now;
  }
  if (sums) store(sums, total);
}

/** What pack_taps() makes of 32 positions' worth of two rows: the words of each pair that they hold in full. */
struct TapOrder {
  explicit TapOrder(int stride) {
    count = smaller(kMost, (32 - 8 - stride) / (2 * stride) + 1);
    for (int k = 0; k < count; k++)
      for (int i = 0; i < 32; i++) words[k][i] = uint16_t(2 * k * stride + i % 16 / 2 + i % 2 * stride + i / 16 * 32);
  }
  static constexpr int kMost = 6;
  alignas(64) uint16_t words[kMost][32];
  int count;
};

/** `count` pairs from two rows of a planar source. */
template <int together>
GOOGLENET_INLINE void pack_row(const TapOrder& order, const char* even, const char* odd, int64_t pair_bytes,
                               int64_t count, char* to) {
  for (int64_t i = 0; i < count; i += together, even += together * pair_bytes, odd += together * pair_bytes) {
    const __m512i a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd);
#pragma GCC unroll 6
    for (int k = 0; k < together; k++, to += 64)
      if (i + k < count) _mm512_store_si512(to, _mm512_permutex2var_epi16(a, _mm512_load_si512(order.words[k]), b));
  }
}

/** A planar source's channel: positions [first, last) in pairs, [pair][2 rows][8 columns][2]. Some rows of the source at a
 *  time are copied between zeros first. */
GOOGLENET_INLINE void pack_taps(const AmxGradientShape& s, const uint16_t* plane, int64_t first, int64_t last,
                                char* line, char* to) {
  constexpr int kRows = 8;
  const AmxMaps& maps = s.src;
  const int length = planar_line(s) / kRows / 2, width = smaller(maps.w, length - 32 - maps.left);
  const TapOrder order(s.stride_w);
  for (int i = 0; i < 2 * kRows * length; i += 32) _mm512_store_si512(line + i * 2, _mm512_setzero_si512());
  for (int64_t at = first; at < last;) {
    const int64_t grid = at / s.pitch;
    for (int r = 0; r < 2 * kRows; r++) {
      const int64_t image = (grid + r / 2) / s.rows, y = (grid + r / 2) % s.rows * 2 + r % 2 - maps.top;
      const bool inside = image < s.images && y >= 0 && y < maps.h;
      const uint16_t* from = plane + (inside ? image * maps.image + y * maps.w : 0);
      uint16_t* row = reinterpret_cast<uint16_t*>(line) + r * length + maps.left;
      for (int i = 0; i < width; i += 32) {
        const __mmask32 mask = width - i >= 32 ? ~0u : (1u << (width - i)) - 1;
        _mm512_mask_storeu_epi16(row + i, mask, _mm512_maskz_loadu_epi16(inside ? mask : 0, from + i));
      }
    }
    for (int r = 0; r < kRows && at < last; r++) {
      const int64_t start = (grid + r) * s.pitch, end = smaller(start + s.pitch, last), count = (end - at) / 2;
      const char* even = line + (2 * r * length + (at - start) * s.stride_w) * 2;
      if (order.count == TapOrder::kMost)
        pack_row<TapOrder::kMost>(order, even, even + 2 * length, 4 * s.stride_w, count, to);
      else
        pack_row<1>(order, even, even + 2 * length, 4 * s.stride_w, count, to);
      at = end, to += count * 64;
    }
  }
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

/** Tiles of `taps` taps from `first` on, of one pair of channel blocks, into weights (outputs, inputs, taps). */
GOOGLENET_INLINE void write_tiles(const AmxGradientShape& s, const float* tiles, int output, int input, int first,
                                  int taps, float* weights) {
  if (s.planar) {
    const __mmask16 mask = __mmask16((1u << s.taps_w) - 1);
    for (int64_t o = 0; o < 16; o++)
      for (int ky = 2 * first; ky < smaller(2 * (first + taps), s.taps_h); ky++)
        _mm512_mask_storeu_ps(weights + (((output * 16 + o) * s.inputs + input) * s.taps_h + ky) * s.taps_w, mask,
                              _mm512_maskz_loadu_ps(mask, tiles + (ky / 2 - first) * 256 + o * 16 + ky % 2 * 8));
    return;
  }
  const int64_t all = s.taps_h * s.taps_w;
  for (int64_t o = 0; o < 16; o++)
    unpack_taps(tiles + o * 16, taps, weights + ((output * 16 + o) * s.inputs + input) * 16 * all + first, all);
}

/** Lines of memory that will be packed soon, asked for a few at a time. */
class Prefetch {
 public:
  /** Positions [first, last) of one channel block. */
  void expect(const AmxMaps& maps, const AmxGradientShape& s, const uint16_t* plane, int64_t first, int64_t last) {
    for (int64_t image = first / (int64_t(s.pitch) * s.rows); image < s.images && count_ < kRanges; image++) {
      const int64_t start = image * s.rows + maps.top;  // the row of the image's first pixel
      const int64_t from = larger(first / s.pitch - start, int64_t(0)),
                    to = smaller((last - 1) / s.pitch + 1 - start, int64_t(maps.h));
      if (start * s.pitch >= last) break;
      if (from >= to) continue;
      // Where no row ends within an image, a range of columns.
      const int64_t left = maps.h == 1 ? larger(first - start * s.pitch, int64_t(0)) : 0;
      const int64_t right = maps.h == 1 ? smaller(last - start * s.pitch, int64_t(maps.w)) : maps.w;
      const uint16_t* at = plane + image * maps.image + (from * maps.w + left) * 16;
      const int64_t lines = (((to - 1) * maps.w + right - from * maps.w - left) * kPixelBytes + 63) / 64;
      ranges_[count_++] = {reinterpret_cast<const char*>(at), lines}, total += lines;
    }
  }
  void lines(int count) {
    for (; count > 0; count--) {
      if (left_ == 0) {
        if (range_ == count_) return;
        at_ = ranges_[range_].at, left_ = ranges_[range_++].lines;
      }
      _mm_prefetch(at_, _MM_HINT_T1);
      at_ += 64, left_--;
    }
  }

  int64_t total = 0;

 private:
  static constexpr int kRanges = 512;
  struct Range {
    const char* at;
    int64_t lines;
  };
  const char* at_ = nullptr;
  int64_t left_ = 0;
  int range_ = 0, count_ = 0;
  Range ranges_[kRanges];
};

}  // namespace googlenet::cpu::avx512_bf16
