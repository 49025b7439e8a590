// How tiles go through a convolution: which positions of the packed planes (simd/tile-kernels.h) are the rows of which
// tile, what the steps of a sum are, and which tiles are worked on together.
#pragma once
#include <vector>

#include "cpu/simd/tile-kernels.h"

namespace googlenet::cpu {

/** Strides in elements. Backward data: diff_dst is the source, diff_src the destination, and padding can be negative. */
struct TileShape {
  int n, h, w, out_h, out_w;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  int inputs, outputs;  // physical channels, multiples of 16; of planar sources the logical ones
  bool planar;
  int parts;                                           // blocks of 16 inputs that one step multiplies (TileKernels)
  int pixel_bytes;                                     // of a planar source, packed
  int rows_at_once;                                    // of a tile (TileKernels)
  int64_t src_image, src_plane, dst_image, dst_plane;  // from image to image, from channel block (or channel) to block
};

/** The parts of every step, in order. Where the last blocks are half of a step or less, it takes several taps of a row. */
std::vector<TileFactor> tile_factors(int inputs, int kernel_h, int kernel_w, int parts);
/** How many, of `blocks` in a step. */
int tile_taps(int blocks, int kernel_w, int parts);

class TilePlan {
 public:
  /** Tiles of one group, and the part of the packed planes that they read: positions, or rows of a planar source. */
  struct Chunk {
    int group, first, last;
    int64_t low, high;
  };

  /** Chunks pack at most about `bytes`, and there are some for each of `threads` where there are tiles enough. */
  TilePlan(const TileShape& shape, int64_t bytes, int threads);

  TileShape shape;
  int group = 1;       // images whose positions lie side by side
  int rows = 0;        // of a tile
  bool alone = false;  // every tile has packed rows of its own, [step][row]: windows of 1x1
  int row_bytes = kTileRowBytes;
  int64_t unit_bytes;       // of a position, or of a row of a planar source
  int64_t block_bytes;      // from channels to the next 32 in the packed planes
  int64_t chunk_bytes;      // the largest chunk's
  std::vector<Tile> tiles;  // of a group
  std::vector<int32_t> from, to, offsets;
  std::vector<Chunk> chunks;

  /** Where the packed planes would begin if there were no chunks, in bytes from those of the chunk. */
  int64_t start(const Chunk& c) const { return alone ? -bytes_of(c.first, 0) : -c.low * unit_bytes; }
  int steps() const { return int(offsets.size()); }
  int planes() const { return (shape.inputs + 16 * shape.parts - 1) / (16 * shape.parts); }

 private:
  void choose();
  void lay_out();
  void lay_out_planar();
  void cut(int64_t bytes, int threads);
  int64_t bytes_of(int tiles, int64_t units) const;

  bool linear_ = false;  // tiles run on from row to row of the plane, across its padding
  int pitch_ = 0;        // positions from row to row, divided by the group
};

}  // namespace googlenet::cpu
