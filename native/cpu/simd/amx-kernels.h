// The loops of AMX convolutions (amx-*.cc), which multiply by AMX or, without it, by VNNI. Elements are bf16 (the upper halves of
// f32) and sums f32, or inputs are u8, weights s8 and sums s32. A step is one multiplication of tiles: 32 products of each
// sum, with bytes 64. Plain data only, as in kernels.h.
//
// Packed inputs: 64 bytes for each position of a plane, the 2 or 4 blocks of 16 channels of one step (its parts), so that
// a tile's rows are neighbouring positions and a tap of the window is a distance; zeros where the plane has no pixel. Positions are
// [row][column][image of the group]: the rows of several small maps fill tiles of up to 16.
// Packed planar inputs: [row][column][4 channels], 8 columns a step.
// Packed weights: by pair of output blocks, then step: a tile for each of the pair's blocks.
#pragma once
#include <cstdint>

namespace googlenet::cpu {

/** Where a tile's first row lies in the packed input (bytes), and the first of its positions in `to`. */
struct AmxTile {
  int32_t from, to;
};

struct AmxProduct {
  int rows;       // of a tile
  int row_bytes;  // from row to row in the packed input
  int steps;
  const int32_t* offsets;  // (steps) bytes from a tile's first row
  const int32_t* to;       // by position: elements from dst, -1: the result is not wanted
  int blocks;              // of 16 output channels
  int64_t plane;           // elements from block to block of dst
  bool relu;
  bool bytes_in, bytes_out;       // src is u8; dst is
  bool floats_out;                // dst is f32, of a src in bf16
  int columns = 0, channels = 0;  // of a step of a planar src: those that are not 0; else 0
};

/** 16 channels of a source as one part of packed rows. */
template <class Element>
struct AmxPart {
  const Element* src;   // first pixel of the block; null: zeros
  const int32_t* from;  // by position: elements from src, -1: zeros
};

/** Which 16 inputs and which tap of the window are one part of a step; input < 0: none. */
struct AmxFactor {
  int input, row, column;
};

/** Weights as a kernel reads them: element (output, input, row, column) of a window of h x w. */
struct AmxFilter {
  const float* weights;
  int64_t output_stride, input_stride;  // floats
  int h, w;
  bool rotated;  // by 180 degrees
  int steps;
};

/** The loops, on an instruction set. */
struct AmxKernels {
  const char* name;  // of what multiplies
  /** `count` packed rows. */
  void (*pack)(const AmxPart<uint16_t> halves[2], int64_t count, uint16_t* packed);
  void (*pack_bytes)(const AmxPart<uint8_t> quarters[4], int64_t count, uint8_t* packed);
  /** One row of `channels` planes of `width` pixels to columns [pad, ...) of `columns`; src null: zeros. */
  void (*pack_planar)(const uint16_t* src, int64_t plane, int channels, int width, int pad, int columns,
                      uint16_t* packed);
  /** Output blocks of the pairs [first, last) of all tiles: sum * scale + bias by output channel. Bias may be null; scale
   *  is needed where bytes come in or go out, and else not read. */
  void (*product)(const AmxProduct&, const AmxTile* tiles, int count, const void* packed, const void* weights,
                  const float* scale, const float* bias, void* dst, int first, int last);
  /** The tiles of one pair of output blocks (or of the last one, alone): factors (steps, 2). */
  void (*weights)(const AmxFilter&, const AmxFactor* factors, int output, int blocks, uint16_t* packed);
  /** The same as s8: factors (steps, 4), weights times `inputs` by input channel, in steps of `outputs` by output channel. */
  void (*weights_bytes)(const AmxFilter&, const AmxFactor* factors, const float* inputs, const float* outputs,
                        int output, int blocks, int8_t* packed);
  /** The same for packed planar inputs: a step is a row of the window. */
  void (*weights_planar)(const AmxFilter&, int channels, int output, int blocks, uint16_t* packed);
};
const AmxKernels& amx_avx512_bf16();  // by AMX
const AmxKernels& amx_avx512_vnni();  // by VNNI's dot products of bytes, and in f32 what is bf16

}  // namespace googlenet::cpu
