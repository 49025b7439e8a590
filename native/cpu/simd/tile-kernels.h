// The loops of convolutions by tiles, which AMX multiplies or, without it, vectors of whatever there is. Elements are bf16
// (the upper halves of f32) and sums f32, or inputs are u8, weights s8 and sums s32. A step is one multiplication of
// tiles: 64 products of bytes for each sum, or 32 of bf16. What the processor has no products of is packed as what it has:
// bytes as s16, 32 a step, and bf16 as f32, 16 a step. Plain data only, as in kernels.h.
//
// Packed inputs: 64 bytes for each position of a plane, the 1, 2 or 4 blocks of 16 channels of one step (its parts), so that
// a tile's rows are neighbouring positions and a tap of the window is a distance; zeros where the plane has no pixel.
// Positions are [row][column][image of the group]: the rows of several small maps fill tiles of up to 16.
// Packed planar inputs: [row][column][channel], a step being a row of the window: 8 columns of 4 bf16, or f32 of the
// channels that there are.
// Packed weights: by pair of output blocks, then step: a tile for each of the pair's blocks, [16 words][16 outputs] of the
// 1, 2 or 4 factors that one word of packed inputs is multiplied by; of planar inputs in f32 up to [32 words].
#pragma once
#include <cstdint>

namespace googlenet::cpu {

constexpr int kTileRows = 16, kTileRowBytes = 64, kTileBytes = kTileRows * kTileRowBytes;
constexpr int kTileDepth = 32;     // bf16 of a row: products that one multiplication adds up
constexpr int kPlanarColumns = 8;  // of a step of a planar input

/** Where a tile's first row lies in the packed input (bytes), and the first of its positions in `to`. */
struct Tile {
  int32_t from, to;
};

struct TileProduct {
  int rows;       // of a tile
  int row_bytes;  // from row to row in the packed input
  int steps;
  const int32_t* offsets;  // (steps) bytes from a tile's first row
  const int32_t* to;       // by position: elements from dst, -1: the result is not wanted
  int blocks;              // of 16 output channels
  int64_t plane;           // elements from block to block of dst
  bool relu;
  bool bytes_in, bytes_out;  // src is u8; dst is
  bool floats_out;           // dst is f32, of a src in bf16
  int words = 16;            // of a step, that are not 0
  int tile_bytes = 0;        // of weights, of one step and block
};

/** 16 channels of a source as one part of packed rows. */
template <class Element>
struct TilePart {
  const Element* src;   // first pixel of the block; null: zeros
  const int32_t* from;  // by position: elements from src, -1: zeros
};

/** Which 16 inputs and which tap of the window are one part of a step; input < 0: none. */
struct TileFactor {
  int input, row, column;
};

/** Weights as a kernel reads them: element (output, input, row, column) of a window of h x w. */
struct TileFilter {
  const float* weights;
  int64_t output_stride, input_stride;  // floats
  int h, w;
  bool rotated;  // by 180 degrees
  int steps;
};

/** The loops, on an instruction set. */
struct TileKernels {
  const char* name;  // of what multiplies
  int byte_parts;    // of a step of bytes: 4, or 2 where they are packed as s16
  int bf16_parts;    // of a step of bf16: 2, or 1 where they are packed as f32
  int rows_at_once;  // of a tile that product() works on: all with AMX
  /** `count` packed rows. */
  void (*pack)(const TilePart<uint16_t> parts[], int64_t count, void* packed);
  void (*pack_bytes)(const TilePart<uint8_t> parts[], int64_t count, void* packed);
  /** One row of `channels` planes of `width` pixels to columns [pad, ...) of `columns`; src null: zeros. */
  void (*pack_planar)(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns, void* packed);
  /** Output blocks of the pairs [first, last) of all tiles: sum * scale + bias by output channel. Bias may be null; scale
   *  is needed where bytes come in or go out, and else not read. */
  void (*product)(const TileProduct&, const Tile* tiles, int count, const void* packed, const void* weights,
                  const float* scale, const float* bias, void* dst, int first, int last);
  /** The tiles of one pair of output blocks (or of the last one, alone), rounded to bf16: factors (steps, bf16_parts). */
  void (*weights)(const TileFilter&, const TileFactor* factors, int output, int blocks, void* packed);
  /** The same as s8 (or s16): factors (steps, byte_parts), weights times `inputs` by input channel, in steps of `outputs`
   *  by output channel. */
  void (*weights_bytes)(const TileFilter&, const TileFactor* factors, const float* inputs, const float* outputs,
                        int output, int blocks, void* packed);
  /** The same for packed planar inputs: a step is a row of the window. */
  void (*weights_planar)(const TileFilter&, int channels, int output, int blocks, void* packed);
};
const TileKernels& tiles_avx512_bf16();  // by AMX
// By dot products of bytes, or of s16, and in f32 what is bf16.
const TileKernels& tiles_avx512_vnni();
const TileKernels& tiles_avx2_vnni();
const TileKernels& tiles_avx2_bf16();
const TileKernels& tiles_portable_bf16();

}  // namespace googlenet::cpu
