#include "cpu/winograd_tiles.h"

#include <algorithm>

namespace googlenet::cpu {

static int tiles_along(int size) { return (size + kWinogradTile - 1) / kWinogradTile; }
static int last_tile(int size) { return size - (tiles_along(size) - 1) * kWinogradTile; }

int64_t WinogradTiles::count(int images, int h, int w) { return int64_t(images) * tiles_along(h) * tiles_along(w); }

WinogradTiles::WinogradTiles(int taps, int images, int h, int w, int64_t blocks)
    : tile_h{kWinogradTile, last_tile(h)},
      tile_w{kWinogradTile, last_tile(w)},
      points_per_axis_(winograd_points(taps).count),
      rows_(tiles_along(h)),
      columns_(tiles_along(w)) {
  const WinogradPoints& points = winograd_points(taps);
  for (int c = 0; c < 4; c++)
    for (int y = 0; y < points.count; y++)
      for (int x = 0; x < points.count; x++)
        has_point_[c][y * points.count + x] = points.used[tile_h[c / 2]] >> y & points.used[tile_w[c % 2]] >> x & 1;
  const int64_t total = count(images, h, w);
  blocks = std::min(blocks, total);
  tiles_.resize(size_t(total));
  for (int64_t b = 0; b < blocks; b++) add_block(total * b / blocks, total * (b + 1) / blocks);
}

void WinogradTiles::add_block(int64_t first, int64_t last) {
  const auto class_of = [&](int64_t i) {
    const int y = int(i % (rows_ * columns_)) / columns_, x = int(i % columns_);
    return 2 * (y + 1 == rows_ && tile_h[1] != tile_h[0]) + (x + 1 == columns_ && tile_w[1] != tile_w[0]);
  };
  WinogradBlock block = {};
  block.tiles = tiles_.data() + first;
  WinogradTile* next = tiles_.data() + first;
  for (int c = 0; c < 4; c++) {
    for (int64_t i = first; i < last; i++) {
      if (class_of(i) != c) continue;
      const int in_plane = int(i % (rows_ * columns_));
      *next++ = {int32_t(i / (rows_ * columns_)), int16_t(in_plane / columns_ * kWinogradTile),
                 int16_t(in_plane % columns_ * kWinogradTile)};
    }
    block.first[c + 1] = int32_t(next - block.tiles);
    const int count = block.first[c + 1] - block.first[c];
    for (int p = 0; p < points_per_axis_ * points_per_axis_; p++) {
      block.skip[c][p] = block.first[c] - block.rows[p];
      if (has_point_[c][p]) block.rows[p] += count;
    }
  }
  largest = std::max(largest, int(last - first));
  blocks.push_back(block);
}

}  // namespace googlenet::cpu
