// The products of amx-data.cc without AMX, of the same packed inputs and weights: some rows of a tile by 2 blocks of
// outputs are summed up at a time, in registers. Bytes by VNNI's dot products, which give AMX's bits; bf16 by f32's
// products, since vdpbf16ps is a quarter as fast as those on Intel's processors (measured on Emerald Rapids).
#include "cpu/simd/amx-results.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Rows at a time: of 32 registers 28 accumulate, 2 hold weights, 1 an input; of bf16 also halves of them and a mask. */
template <class Kind>
constexpr int kMostRows = Kind::bytes_in ? 14 : 10;

GOOGLENET_INLINE __m512i word_at(const char* p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return _mm512_set1_epi32(word);
}
/** Of pairs of bf16 the first ones, or the second ones, as f32. */
template <int half>
GOOGLENET_INLINE Vec half_of(__m512i pairs) {
  return _mm512_castsi512_ps(half == 0 ? _mm512_slli_epi32(pairs, 16)
                                       : _mm512_and_si512(pairs, _mm512_set1_epi32(int(0xffff0000))));
}

/** What one word of each row adds to the sums, of pairs one half: products with a row of each block's weights. */
template <class Kind, int blocks, int rows, int half>
GOOGLENET_INLINE void add_products(Vec (&sum)[rows][blocks], const char* inputs, int64_t row_bytes,
                                   const char* weights) {
  __m512i w[blocks];
  for (int b = 0; b < blocks; b++) w[b] = _mm512_loadu_si512(weights + b * kTileBytes);
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++) {
    const __m512i x = word_at(inputs + r * row_bytes);
    for (int b = 0; b < blocks; b++) {
      if constexpr (Kind::bytes_in)
        sum[r][b] = _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum[r][b]), x, w[b]));
      else
        sum[r][b] = fma(half_of<half>(x), half_of<half>(w[b]), sum[r][b]);
    }
  }
}

/** sums[block][row] of `rows` rows from `first` on. */
template <class Kind, int blocks, int rows>
void multiply(const AmxProduct& p, const char* first, const char* weights, float (*sums)[2 * kTileRows][B]) {
  Vec sum[rows][blocks];
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++)
    for (int b = 0; b < blocks; b++) sum[r][b] = zero();
  const int words = p.columns ? 2 * p.columns : kTileRows, pairs = p.channels ? p.channels / 2 : 2;
  for (int s = 0; s < p.steps; s++, weights += blocks * kTileBytes) {
    const char *inputs = first + p.offsets[s], *row = weights;
    for (int k = 0; k < words; k++, inputs += 4, row += kTileRowBytes) {
      add_products<Kind, blocks, rows, 0>(sum, inputs, p.row_bytes, row);
      if (Kind::bytes_in || k % 2 >= pairs) continue;  // of a planar input's channels the last has no pair
      add_products<Kind, blocks, rows, 1>(sum, inputs, p.row_bytes, row);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++)
    for (int b = 0; b < blocks; b++) store(sums[b][r], sum[r][b]);
}

/** Denormals count as 0 in its scope, as they do in AMX: rows nobody wants the sums of may hold anything. */
class NoDenormals {
 public:
  NoDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlush); }
  ~NoDenormals() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kFlush = 0x8040;  // FTZ and DAZ
  const unsigned before_;
};

typedef void (*Multiply)(const AmxProduct&, const char*, const char*, float (*)[2 * kTileRows][B]);

/** For each number of rows, from 1 on. */
template <class Kind, int blocks, int... before>
struct ByRows : ByRows<Kind, blocks, kMostRows<Kind> - int(sizeof...(before)), before...> {};
template <class Kind, int blocks, int... rows>
struct ByRows<Kind, blocks, 1, rows...> {
  static constexpr Multiply run[] = {multiply<Kind, blocks, 1>, multiply<Kind, blocks, rows>...};
};

template <class Kind>
void product(const AmxProduct& p, const AmxTile* tiles, int count, const char* packed, const char* weights,
             Results<Kind>& results, int first, int last) {
  const int parts = (p.rows + kMostRows<Kind> - 1) / kMostRows<Kind>;
  for (int pair = first; pair < last; pair++) {
    const char* factors = weights + int64_t(pair) * p.steps * 2 * kTileBytes;
    const int block = 2 * pair, blocks = smaller(2, p.blocks - block);
    for (int t = 0; t < count; t++) {
      for (int part = 0; part < parts; part++) {
        const int row = p.rows * part / parts, rows = p.rows * (part + 1) / parts - row;
        (blocks == 2 ? ByRows<Kind, 2>::run : ByRows<Kind, 1>::run)[rows - 1](
            p, packed + tiles[t].from + int64_t(row) * p.row_bytes, factors, results.sums);
        for (int i = 0; i < rows; i++) results.to[i] = p.to[tiles[t].to + row + i];
        results.expect(block, blocks, rows);
        results.write(rows);
      }
    }
  }
}

}  // namespace

const char* const kProducts = "avx512_vnni";

void amx_product(const AmxProduct& p, const AmxTile* tiles, int count, const void* packed, const void* weights,
                 const float* scale, const float* bias, void* dst, int first, int last) {
  const NoDenormals flushed;
  with_kind(p, [&](auto kind) {
    Results<decltype(kind)> results(p, scale, bias, dst);
    product(p, tiles, count, static_cast<const char*>(packed), static_cast<const char*>(weights), results, first, last);
  });
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
