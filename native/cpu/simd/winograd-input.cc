// Winograd's transforms of tiles, a channel block of one tile at a time, rows first, then columns: V = B' d B of inputs,
// and for backward weights Z = A d A' of the gradients of outputs.
#include "cpu/simd/winograd.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Vertical: `columns` columns of src, rows `row` floats apart, to temp [point][column]. */
template <Side side, int taps, int outputs>
void down(const float* src, int64_t row, int columns, float* temp) {
  constexpr int rows = kMatrix<side, taps, outputs>.columns, points = kMatrix<side, taps, outputs>.rows;
  for (int x = 0; x < columns; x++) {
    Vec in[rows], out[points];
#pragma GCC unroll 8
    for (int k = 0; k < rows; k++) in[k] = load(src + k * row + x * B);
    expand<side, taps, outputs>(in, out);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++) store(temp + (p * columns + x) * B, out[p]);
  }
}

/** Horizontal: temp [row of points][column] to v, one offset a point. */
template <Side side, int taps, int outputs>
void across(const float* temp, int rows, float* v, const int64_t* offsets) {
  constexpr int columns = kMatrix<side, taps, outputs>.columns, points = kMatrix<side, taps, outputs>.rows;
  for (int y = 0; y < rows; y++, temp += columns * B, offsets += points) {
    Vec in[columns], out[points];
#pragma GCC unroll 8
    for (int k = 0; k < columns; k++) in[k] = load(temp + k * B);
    expand<side, taps, outputs>(in, out);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++) store(v + offsets[p], out[p]);
  }
}

using Down = void (*)(const float*, int64_t, int, float*);
using Across = void (*)(const float*, int, float*, const int64_t*);
template <Side s>  // by taps / 2 - 1 and outputs
constexpr Down kDown[2][5] = {{nullptr, down<s, 3, 1>, down<s, 3, 2>, down<s, 3, 3>, down<s, 3, 4>},
                              {nullptr, down<s, 5, 1>, down<s, 5, 2>, down<s, 5, 3>, down<s, 5, 4>}};
template <Side s>
constexpr Across kAcross[2][5] = {{nullptr, across<s, 3, 1>, across<s, 3, 2>, across<s, 3, 3>, across<s, 3, 4>},
                                  {nullptr, across<s, 5, 1>, across<s, 5, 2>, across<s, 5, 3>, across<s, 5, 4>}};

/** The window of h x w pixels at (y, x) of a plane, zeros outside of it. */
void copy_window(const WinogradShape& s, const float* plane, int y, int x, int h, int w, float* window) {
  for (int i = y; i < y + h; i++)
    for (int j = x; j < x + w; j++, window += B) {
      const bool inside = i >= 0 && i < s.h && j >= 0 && j < s.w;
      store(window, inside ? load(plane + (int64_t(i) * s.w + j) * B) : zero());
    }
}

/** The sum of h x w pixels, rows `row` floats apart. */
GOOGLENET_INLINE Vec tile_sum(const float* at, int64_t row, int h, int w) {
  Vec sum = zero();
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) sum = add(sum, load(at + y * row + x * B));
  return sum;
}

}  // namespace

void winograd_input(const WinogradShape& s, const WinogradBlock& block, const float* src, float* v, int64_t first,
                    int64_t last) {
  alignas(64) float temp[kWinogradMaxPoints * kWinogradMaxPoints * B];
  alignas(64) float window[kWinogradMaxPoints * kWinogradMaxPoints * B];
  const int blocks = s.inputs / B, family = s.taps / 2 - 1;
  const int64_t plane = int64_t(s.h) * s.w * B;
  for (int c = 0; c < 4; c++) {
    const int64_t begin = larger(first, int64_t(block.first[c]) * blocks);
    const int64_t end = smaller(last, int64_t(block.first[c + 1]) * blocks);
    if (begin >= end) continue;
    const int out_h = s.tile_h[c / 2], out_w = s.tile_w[c % 2], h = out_h + s.taps - 1, w = out_w + s.taps - 1;
    const Down vertical = kDown<Side::inputs>[family][out_h];
    const Across horizontal = kAcross<Side::inputs>[family][out_w];
    int64_t offsets[kWinogradMaxPoints * kWinogradMaxPoints];
    point_offsets(s, block, c, s.v_point, s.inputs, offsets);
    for (int64_t i = begin; i < end; i++) {
      const int64_t t = i / blocks, b = i % blocks;
      const WinogradTile& tile = block.tiles[t];
      const int y = tile.y - s.pad_h, x = tile.x - s.pad_w;
      const float* from = src + tile.image * s.src_image + b * plane;
      int64_t row = int64_t(s.w) * B;
      if (y >= 0 && x >= 0 && y + h <= s.h && x + w <= s.w) {
        from += y * row + int64_t(x) * B;
      } else {
        copy_window(s, from, y, x, h, w, window);
        from = window, row = int64_t(w) * B;
      }
      vertical(from, row, w, temp);
      horizontal(temp, h, v + t * s.inputs + b * B, offsets);
    }
  }
}

void winograd_diff(const WinogradShape& s, const WinogradBlock& block, const float* diff_dst, float* z, float* sums,
                   int64_t first, int64_t last) {
  alignas(64) float temp[kWinogradMaxPoints * kWinogradTile * B];
  const int blocks = s.outputs / B, family = s.taps / 2 - 1;
  const int64_t row = int64_t(s.out_w) * B, plane = s.out_h * row;
  for (int c = 0; c < 4; c++) {
    const int64_t begin = larger(first, int64_t(block.first[c]) * blocks);
    const int64_t end = smaller(last, int64_t(block.first[c + 1]) * blocks);
    if (begin >= end) continue;
    const int out_h = s.tile_h[c / 2], out_w = s.tile_w[c % 2];
    const Down vertical = kDown<Side::outputs>[family][out_h];
    const Across horizontal = kAcross<Side::outputs>[family][out_w];
    int64_t offsets[kWinogradMaxPoints * kWinogradMaxPoints];
    point_offsets(s, block, c, s.m_point, s.outputs, offsets);
    for (int64_t i = begin; i < end; i++) {
      const int64_t t = i / blocks, b = i % blocks, at = t * s.outputs + b * B;
      const WinogradTile& tile = block.tiles[t];
      const float* from = diff_dst + tile.image * s.dst_image + b * plane + tile.y * row + int64_t(tile.x) * B;
      vertical(from, row, out_w, temp);
      horizontal(temp, out_h + s.taps - 1, z + at, offsets);
      store(sums + at, tile_sum(from, row, out_h, out_w));
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
