// Winograd's transform of input tiles: V = B' d B of every tile and channel block, rows first, then columns.
#include "cpu/simd/winograd.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

/** Vertical: `columns` columns of src, rows `row` floats apart, to temp [point][column]. */
template <int taps, int outputs>
void down(const float* src, int64_t row, int columns, float* temp) {
  constexpr int size = outputs + taps - 1;
  for (int x = 0; x < columns; x++) {
    Vec in[size], out[size];
#pragma GCC unroll 8
    for (int k = 0; k < size; k++) in[k] = load(src + k * row + x * B);
    expand<Side::inputs, taps, outputs>(in, out);
#pragma GCC unroll 8
    for (int p = 0; p < size; p++) store(temp + (p * columns + x) * B, out[p]);
  }
}

/** Horizontal: temp [point][column] to v at one offset a point. */
template <int taps, int outputs>
void across(const float* temp, int rows, float* v, const int64_t* offsets) {
  constexpr int size = outputs + taps - 1;
  for (int y = 0; y < rows; y++, temp += size * B, offsets += size) {
    Vec in[size], out[size];
#pragma GCC unroll 8
    for (int k = 0; k < size; k++) in[k] = load(temp + k * B);
    expand<Side::inputs, taps, outputs>(in, out);
#pragma GCC unroll 8
    for (int p = 0; p < size; p++) store(v + offsets[p], out[p]);
  }
}

using Down = void (*)(const float*, int64_t, int, float*);
using Across = void (*)(const float*, int, float*, const int64_t*);
// By taps / 2 - 1 and outputs.
constexpr Down kDown[2][5] = {{nullptr, down<3, 1>, down<3, 2>, down<3, 3>, down<3, 4>},
                              {nullptr, down<5, 1>, down<5, 2>, down<5, 3>, down<5, 4>}};
constexpr Across kAcross[2][5] = {{nullptr, across<3, 1>, across<3, 2>, across<3, 3>, across<3, 4>},
                                  {nullptr, across<5, 1>, across<5, 2>, across<5, 3>, across<5, 4>}};

/** The window of h x w pixels at (y, x) of a plane, zeros outside of it. */
void copy_window(const WinogradShape& s, const float* plane, int y, int x, int h, int w, float* window) {
  for (int i = y; i < y + h; i++)
    for (int j = x; j < x + w; j++, window += B) {
      const bool inside = i >= 0 && i < s.h && j >= 0 && j < s.w;
      store(window, inside ? load(plane + (int64_t(i) * s.w + j) * B) : zero());
    }
}

}  // namespace

void winograd_input(const WinogradShape& s, const WinogradBlock& block, const float* src, float* v, int64_t first,
                    int64_t last) {
  alignas(64) float temp[kWinogradMaxPoints * kWinogradMaxPoints * B], window[kWinogradMaxPoints * kWinogradMaxPoints * B];
  const int blocks = s.inputs / B, family = s.taps / 2 - 1;
  const int64_t plane = int64_t(s.h) * s.w * B;
  for (int c = 0; c < 4; c++) {
    const int64_t begin = larger(first, int64_t(block.first[c]) * blocks);
    const int64_t end = smaller(last, int64_t(block.first[c + 1]) * blocks);
    if (begin >= end) continue;
    const int out_h = s.tile_h[c / 2], out_w = s.tile_w[c % 2], h = out_h + s.taps - 1, w = out_w + s.taps - 1;
    const Down vertical = kDown[family][out_h];
    const Across horizontal = kAcross[family][out_w];
    int64_t offsets[kWinogradMaxPoints * kWinogradMaxPoints];
    point_offsets(s, block, c, s.v_point, s.inputs, offsets);
    for (int64_t i = begin; i < end; i++) {
      const int t = int(i / blocks), b = int(i % blocks);
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
      horizontal(temp, h, v + int64_t(t) * s.inputs + b * B, offsets);
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
