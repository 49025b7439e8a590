// Planes cut into tiles, and tiles dealt to blocks, for Winograd's convolution. Along each axis tiles have 4 outputs and
// the last one what is left, so that nothing is computed twice or thrown away.
#pragma once
#include <vector>

#include "cpu/simd/kernels.h"
#include "cpu/simd/winograd-points.h"

namespace googlenet::cpu {

inline const WinogradPoints& winograd_points(int taps) { return taps == 3 ? kWinograd3 : kWinograd5; }
/** Of a tile: in both dimensions. */
inline int winograd_point_count(int taps) { return winograd_points(taps).count * winograd_points(taps).count; }

class WinogradTiles {
 public:
  /** The tiles of `images` planes of h x w outputs in at most `blocks` blocks of equal size. */
  WinogradTiles(int taps, int images, int h, int w, int64_t blocks);
  WinogradTiles(const WinogradTiles&) = delete;

  static int64_t count(int images, int h, int w);
  /** Floats from point to point of a block's tiles. Rows are multiples of 32 bytes; planes of points a multiple of 4096
   *  apart would share cache sets. */
  int64_t point_stride(int channels) const { return int64_t(largest) * channels + 16; }

  std::vector<WinogradBlock> blocks;
  int largest = 0;           // tiles of a block
  int tile_h[2], tile_w[2];  // outputs of a full tile and of the last one

 private:
  void add_block(int64_t first, int64_t last);

  const int points_per_axis_, rows_, columns_;  // of tiles in a plane
  bool has_point_[4][64];                       // by class and point
  std::vector<WinogradTile> tiles_;
};

}  // namespace googlenet::cpu
