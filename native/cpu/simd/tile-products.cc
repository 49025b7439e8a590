// The products of amx-products.cc without AMX: some rows of a tile by one or two blocks of outputs are summed up at a
// time, in registers. Bytes by dot products, which give AMX's bits; bf16 as f32, since vdpbf16ps is a quarter as fast
// as f32's products on Intel's processors (measured on Emerald Rapids).
#include "cpu/simd/tile-results.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

constexpr int kBlocks = kChunkVectors;  // of outputs at a time, by up to kProductRows rows

template <class Word>
GOOGLENET_INLINE Word word_at(const char* p) {
  Word word;
  __builtin_memcpy(&word, p, sizeof word);
  return word;
}

/** Sums of bytes, else of floats. */
template <bool bytes>
struct Sum {
  typedef Vec Type;
  static Type none() { return zero(); }
  static Type load_all(const char* p) { return load(reinterpret_cast<const float*>(p)); }
  static Type repeat(const char* p) { return all(word_at<float>(p)); }
  static Type more(Type sum, Type x, Type w) { return fma(x, w, sum); }
  static void keep(float* to, Type sum) { store(to, sum); }
};
template <>
struct Sum<true> {
  typedef Ints Type;
  static Type none() { return all_ints(0); }
  static Type load_all(const char* p) { return load_ints(p); }
  static Type repeat(const char* p) { return all_ints(word_at<int32_t>(p)); }
  static Type more(Type sum, Type x, Type w) { return dot(sum, x, w); }
  static void keep(float* to, Type sum) { store_ints(to, sum); }
};

/** sums[block][row] of `rows` rows from `first` on; weights are `step_bytes` a step. */
template <class Kind, int blocks, int rows>
void multiply(const TileProduct& p, const char* first, const char* weights, int64_t step_bytes,
              float (*sums)[2 * kTileRows][B]) {
  typedef Sum<Kind::bytes_in> S;
  typename S::Type sum[rows][blocks];
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++)
    for (int b = 0; b < blocks; b++) sum[r][b] = S::none();
  const int64_t row_bytes = p.row_bytes, tile_bytes = p.tile_bytes;
  for (int s = 0; s < p.steps; s++, weights += step_bytes) {
    const char *inputs = first + p.offsets[s], *factors = weights;
    for (int k = 0; k < p.words; k++, inputs += 4, factors += kTileRowBytes) {
      typename S::Type w[blocks];
      for (int b = 0; b < blocks; b++) w[b] = S::load_all(factors + b * tile_bytes);
#pragma GCC unroll 14
      for (int r = 0; r < rows; r++) {
        const auto x = S::repeat(inputs + r * row_bytes);
        for (int b = 0; b < blocks; b++) sum[r][b] = S::more(sum[r][b], x, w[b]);
      }
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++)
    for (int b = 0; b < blocks; b++) S::keep(sums[b][r], sum[r][b]);
}

/** Denormals count as 0 in its scope, as they do in AMX: rows nobody wants the sums of may hold anything. */
class NoDenormals {
 public:
  NoDenormals() : before_(get()) { set(before_ | kFlush); }
  ~NoDenormals() { set(before_); }

 private:
#if defined(__SSE__)
  static constexpr unsigned kFlush = 0x8040;  // FTZ and DAZ
  static unsigned get() { return _mm_getcsr(); }
  static void set(unsigned control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
  static constexpr uint64_t kFlush = uint64_t(1) << 24;  // FZ
  static uint64_t get() {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
  }
  static void set(uint64_t control) { __asm__ volatile("msr fpcr, %0" ::"r"(control)); }
#else
  static constexpr unsigned kFlush = 0;
  static unsigned get() { return 0; }
  static void set(unsigned) {}
#endif
  const decltype(get()) before_;
};

typedef void (*Multiply)(const TileProduct&, const char*, const char*, int64_t, float (*)[2 * kTileRows][B]);

/** For each number of rows, from 1 on. */
template <class Kind, int blocks, int... before>
struct ByRows : ByRows<Kind, blocks, kProductRows - int(sizeof...(before)), before...> {};
template <class Kind, int blocks, int... rows>
struct ByRows<Kind, blocks, 1, rows...> {
  static constexpr Multiply run[] = {multiply<Kind, blocks, 1>, multiply<Kind, blocks, rows>...};
};

template <class Kind>
void product(const TileProduct& p, const Tile* tiles, int count, const char* packed, const char* weights,
             Results<Kind>& results, int first, int last) {
  const int parts = (p.rows + kProductRows - 1) / kProductRows;
  for (int block = 2 * first; block < smaller(2 * last, p.blocks); block += kBlocks) {
    const int pair = block / 2, of_pair = smaller(2, p.blocks - 2 * pair), blocks = smaller(kBlocks, of_pair);
    const char* factors = weights + (int64_t(pair) * p.steps * 2 + block % 2) * p.tile_bytes;
    for (int t = 0; t < count; t++) {
      for (int part = 0; part < parts; part++) {
        const int row = p.rows * part / parts, rows = p.rows * (part + 1) / parts - row;
        (blocks == kBlocks ? ByRows<Kind, kBlocks>::run : ByRows<Kind, 1>::run)[rows - 1](
            p, packed + tiles[t].from + int64_t(row) * p.row_bytes, factors, of_pair * p.tile_bytes, results.sums);
        for (int i = 0; i < rows; i++) results.to[i] = p.to[tiles[t].to + row + i];
        results.expect(block, blocks, rows);
        results.write(rows);
      }
    }
  }
}

}  // namespace

const char* const kTileProducts = kProducts;

void tile_product(const TileProduct& p, const Tile* tiles, int count, const void* packed, const void* weights,
                  const float* scale, const float* bias, void* dst, int first, int last) {
  const NoDenormals flushed;
  with_kind(p, [&](auto kind) {
    Results<decltype(kind)> results(p, scale, bias, dst);
    product(p, tiles, count, static_cast<const char*>(packed), static_cast<const char*>(weights), results, first, last);
  });
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
