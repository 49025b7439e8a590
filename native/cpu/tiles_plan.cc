#include "cpu/tiles_plan.h"

#include <algorithm>
#include <limits>

namespace googlenet::cpu {

namespace {

constexpr int kLargestGroup = 16;
// Threads may be of different speed, one sharing its core with another program: the faster ones then take more chunks.
constexpr int kChunksAThread = 4, kFewestPairs = 6;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Of a tile's time: AMX's hardly shrinks with its rows (measured: 16 rows 28 ns, 14 26.9, 8 25.8), that of vectors, which
 *  work on so many rows at once, does. */
double cost(int rows, int at_once) {
  return rows + (at_once == kTileRows ? 40.0 : 2.0 * double(divide_up(rows, at_once)));
}

}  // namespace

std::vector<TileFactor> tile_factors(int inputs, int kernel_h, int kernel_w, int parts) {
  std::vector<TileFactor> factors;
  for (int input = 0; input < inputs; input += 16 * parts) {
    const int blocks = std::min(parts, (inputs - input) / 16), taps = tile_taps(blocks, kernel_w, parts);
    for (int y = 0; y < kernel_h; y++)
      for (int x = 0; x < kernel_w; x += taps)
        for (int p = 0; p < parts; p++) {
          const int tap = p / blocks;
          const bool used = tap < taps && x + tap < kernel_w;
          factors.push_back({used ? input + 16 * (p % blocks) : -1, y, x + tap});
        }
  }
  return factors;
}

int tile_taps(int blocks, int kernel_w, int parts) { return kernel_w > 1 ? parts / blocks : 1; }

TilePlan::TilePlan(const TileShape& s, int64_t bytes, int threads) : shape(s) {
  if (!shape.planar && shape.kernel_h == 1 && shape.kernel_w == 1 && shape.pad_h == 0 && shape.pad_w == 0) {
    alone = true;
    shape.w = shape.out_w = shape.h * shape.w, shape.h = shape.out_h = 1;
  }
  choose();
  if (shape.planar)
    lay_out_planar();
  else
    lay_out();
  cut(bytes, threads);
}

/** Groups, rows of a tile and the way through the plane that take the least time for an image. */
void TilePlan::choose() {
  // Columns that a row and the next one share are zeros for both.
  const int columns = shape.out_w + shape.kernel_w - 1;
  pitch_ = std::min(columns, std::max({shape.w + shape.pad_w, columns - shape.pad_w, shape.out_w}));
  double least = std::numeric_limits<double>::max();
  for (int g = 1; g <= (shape.planar ? 1 : std::min(shape.n, kLargestGroup)); g++) {
    if (shape.n % g || g * std::max(shape.src_image, shape.dst_image) > std::numeric_limits<int32_t>::max()) continue;
    for (const bool linear : {false, true}) {
      if (linear && (shape.planar || shape.out_h == 1)) continue;
      const int64_t row = int64_t(shape.out_w) * g, all = int64_t(shape.out_h - 1) * pitch_ * g + row;
      const int64_t length = linear ? all : row, pieces = linear ? 1 : shape.out_h;
      for (int r = int(std::min<int64_t>(length, kTileRows)); r > 0; r--) {
        const double time = double(pieces * divide_up(length, r)) * cost(r, shape.rows_at_once) / g;
        if (time < least * 0.97) least = time, group = g, rows = r, linear_ = linear;
      }
    }
  }
}

void TilePlan::lay_out() {
  const int g = group, packed_rows = shape.out_h + shape.kernel_h - 1, columns = shape.out_w + shape.kernel_w - 1;
  const int64_t positions = (int64_t(packed_rows - 1) * pitch_ + columns) * g;
  from.assign(size_t(positions + (shape.parts - 1) * g), -1);  // a step's other taps may lie behind the last
  to.assign(size_t(positions), -1);
  // Without a window images can as well follow each other, which is faster to pack.
  const auto position = [&](int y, int x, int i) {
    return size_t(alone ? int64_t(i) * pitch_ + x : (int64_t(y) * pitch_ + x) * g + i);
  };
  for (int y = 0; y < std::min(shape.h, packed_rows - shape.pad_h); y++)
    for (int x = 0; x < std::min(shape.w, columns - shape.pad_w); x++)
      for (int i = 0; i < g; i++)
        if (y + shape.pad_h >= 0 && x + shape.pad_w >= 0)
          from[position(y + shape.pad_h, x + shape.pad_w, i)] =
              int32_t(i * shape.src_image + (int64_t(y) * shape.w + x) * 16);
  for (int y = 0; y < shape.out_h; y++)
    for (int x = 0; x < shape.out_w; x++)
      for (int i = 0; i < g; i++)
        to[position(y, x, i)] = int32_t(i * shape.dst_image + (int64_t(y) * shape.out_w + x) * 16);
  const auto add_tiles = [&](int64_t start, int64_t length) {  // the last one overlaps its neighbour
    for (int64_t at = 0; at < length; at += rows) {
      const int64_t position = start + std::min(at, length - rows);
      tiles.push_back({int32_t(position * kTileRowBytes), int32_t(position)});
    }
  };
  if (linear_) {
    add_tiles(0, (int64_t(shape.out_h - 1) * pitch_ + shape.out_w) * g);
  } else {
    for (int y = 0; y < shape.out_h; y++) add_tiles(int64_t(y) * pitch_ * g, int64_t(shape.out_w) * g);
  }
  for (size_t i = 0; alone && i < tiles.size(); i++) tiles[i].from = int32_t(bytes_of(int(i), 0));
  unit_bytes = kTileRowBytes;
}

void TilePlan::lay_out_planar() {
  const int columns = (shape.out_w - 1) * shape.stride_w + kPlanarColumns;
  unit_bytes = divide_up(columns * shape.pixel_bytes, kTileRowBytes) * kTileRowBytes;
  row_bytes = shape.stride_w * shape.pixel_bytes;
  for (int y = 0; y < shape.out_h; y++) {
    for (int at = 0; at < shape.out_w; at += rows) {
      const int x = std::min(at, shape.out_w - rows);
      tiles.push_back({int32_t(y * shape.stride_h * unit_bytes + x * row_bytes), y * shape.out_w + x});
    }
  }
  to.resize(size_t(shape.out_h) * shape.out_w);
  for (size_t i = 0; i < to.size(); i++) to[i] = int32_t(i * 16);
  for (int y = 0; y < shape.kernel_h; y++) offsets.push_back(int32_t(y * unit_bytes));
}

int64_t TilePlan::bytes_of(int count, int64_t units) const {
  if (alone) return int64_t(count) * rows * planes() * kTileRowBytes;
  return units * unit_bytes * (shape.planar ? 1 : planes());
}

void TilePlan::cut(int64_t bytes, int threads) {
  const int count = int(tiles.size()), groups = shape.n / group;
  const int64_t pairs = (count + 1) / 2;
  // Behind a tile's first position: what its rows and taps reach.
  const int64_t reach =
      shape.planar ? shape.kernel_h : rows + (int64_t(shape.kernel_h - 1) * pitch_ + shape.kernel_w - 1) * group;
  const auto unit = [&](int tile) {
    return shape.planar ? int64_t(tiles[size_t(tile)].from) / unit_bytes : int64_t(tiles[size_t(tile)].to);
  };
  int64_t pieces = divide_up(bytes_of(count, unit(count - 1) + reach), bytes);
  if (threads > 1)
    pieces = std::max(pieces, std::min(divide_up(int64_t(kChunksAThread) * threads, groups), pairs / kFewestPairs));
  while (groups * pieces % threads && groups * pieces < 4 * threads) pieces++;
  pieces = std::min<int64_t>(pieces, pairs);
  int64_t most_units = 0;
  int most_tiles = 0;
  for (int i = 0; i < pieces; i++) {
    Chunk c = {0, int(pairs * i / pieces * 2), std::min(count, int(pairs * (i + 1) / pieces * 2)), 0, 0};
    c.low = unit(c.first), c.high = unit(c.last - 1) + reach;
    most_units = std::max(most_units, c.high - c.low), most_tiles = std::max(most_tiles, c.last - c.first);
    chunks.push_back(c);
  }
  // Group by group: threads begin with images of their own, which the layer before left in their caches.
  for (int group = 1; group < groups; group++)
    for (int i = 0; i < pieces; i++) chunks.push_back(chunks[size_t(i)]), chunks.back().group = group;
  block_bytes = alone ? int64_t(rows) * kTileRowBytes : most_units * unit_bytes;
  chunk_bytes = bytes_of(most_tiles, most_units);
  if (shape.planar) return;
  const auto factors = tile_factors(shape.inputs, shape.kernel_h, shape.kernel_w, shape.parts);
  for (size_t i = 0; i < factors.size(); i += size_t(shape.parts)) {
    const int64_t tap = (int64_t(factors[i].row) * pitch_ + factors[i].column) * group;
    offsets.push_back(int32_t(factors[i].input / (16 * shape.parts) * block_bytes + tap * kTileRowBytes));
  }
}

}  // namespace googlenet::cpu
