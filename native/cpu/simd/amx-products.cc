// AMX products of a convolution: 2 tiles of pixels by 2 blocks of outputs are summed up at a time, in tiles 0 to 3. While
// the next four are being multiplied, the last four are written.
#include "cpu/simd/amx.h"
#include "cpu/simd/tile-results.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

GOOGLENET_INLINE int divide_up(int a, int b) { return (a + b - 1) / b; }

/** What tile c held becomes results, then it is 0. */
template <int c, class Kind>
GOOGLENET_INLINE void take(Results<Kind>& r, int rows) {
  store_tile<c>(r.sums[c % 2][c / 2 * rows], kTileRowBytes);
  clear_tile<c>();
}

template <class Kind, int c, int a, int b>
GOOGLENET_INLINE void multiply_kind() {
  if constexpr (Kind::bytes_in)
    multiply_byte_tiles<c, a, b>();
  else
    multiply_tiles<c, a, b>();
}

/** Weights that are asked for while others are multiplied: from `at` on, so many lines a step. */
struct Ahead {
  const char* at;
  int lines;
};

/** Multiplies all steps: tile c is position tile c / 2, block c % 2. In the first step the sums of the multiplication
 *  before, `results`, are taken out tile by tile (all at once would leave the multiplier waiting); later steps write
 *  them. */
template <int tiles, int blocks, class Kind>
void multiply(const TileProduct& p, const Tile* tile, const char* packed, const char* weights, Ahead ahead,
              Results<Kind>& results) {
  const char *first = packed + tile[0].from, *second = packed + tile[tiles - 1].from;
  const int64_t row_bytes = p.row_bytes;
  const int rate = divide_up(results.rows, larger(p.steps - 1, 1));
  for (int s = 0; s < p.steps; s++, weights += blocks * kTileBytes) {
    for (int i = 0; i < ahead.lines; i++, ahead.at += kTileRowBytes) _mm_prefetch(ahead.at, _MM_HINT_T1);
    load_tile<4>(first + p.offsets[s], row_bytes);
    load_tile<6>(weights, kTileRowBytes);
    if constexpr (tiles == 2) load_tile<5>(second + p.offsets[s], row_bytes);
    if constexpr (blocks == 2) load_tile<7>(weights + kTileBytes, kTileRowBytes);
    if (s == 0) take<0>(results, p.rows);
    multiply_kind<Kind, 0, 4, 6>();
    if (s == 0) take<2>(results, p.rows);
    if constexpr (tiles == 2) multiply_kind<Kind, 2, 5, 6>();
    if (s == 0) take<1>(results, p.rows);
    if constexpr (blocks == 2) multiply_kind<Kind, 1, 4, 7>();
    if (s == 0) take<3>(results, p.rows);
    if constexpr (tiles == 2 && blocks == 2) multiply_kind<Kind, 3, 5, 7>();
    if (s > 0 || p.steps == 1) results.write(rate);
  }
}

template <class Kind>
void product(const TileProduct& p, const Tile* tiles, int count, const char* packed, const char* weights,
             Results<Kind>& results, int first, int last) {
  TileConfig config;
  for (int c = 0; c < 6; c++) set_tile(config, c, p.rows);
  for (int b = 6; b < 8; b++) set_tile(config, b, kTileRows);
  configure_tiles(config);
  for (int pair = first; pair < last; pair++) {
    const char* factors = weights + int64_t(pair) * p.steps * 2 * kTileBytes;
    const int block = 2 * pair, blocks = smaller(2, p.blocks - block);
    Ahead ahead = {factors + int64_t(p.steps) * 2 * kTileBytes, 0};  // the next pair's, spread over this one
    if (block + 2 < p.blocks) ahead.lines = divide_up(2 * kTileBytes / kTileRowBytes, divide_up(count, 2));
    for (int t = 0; t < count; t += 2) {
      const int together = smaller(2, count - t);
      const auto run = together == 2 ? blocks == 2 ? multiply<2, 2, Kind> : multiply<2, 1, Kind>
                       : blocks == 2 ? multiply<1, 2, Kind>
                                     : multiply<1, 1, Kind>;
      run(p, tiles + t, packed, factors, ahead, results);
      ahead.at += int64_t(p.steps) * ahead.lines * kTileRowBytes;
      for (int i = 0; i < together; i++)
        for (int row = 0; row < p.rows; row++) results.to[i * p.rows + row] = p.to[tiles[t + i].to + row];
      results.expect(block, blocks, together * p.rows);
    }
  }
  take<0>(results, p.rows), take<1>(results, p.rows), take<2>(results, p.rows), take<3>(results, p.rows);
  results.write(results.rows);
  release_tiles();
}

}  // namespace

const char* const kTileProducts = "amx";

void tile_product(const TileProduct& p, const Tile* tiles, int count, const void* packed, const void* weights,
                  const float* scale, const float* bias, void* dst, int first, int last) {
  with_kind(p, [&](auto kind) {
    Results<decltype(kind)> results(p, scale, bias, dst);
    product(p, tiles, count, static_cast<const char*>(packed), static_cast<const char*>(weights), results, first, last);
  });
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
