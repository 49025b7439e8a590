// Backward weights of convolutions in bf16 by AMX: what one thread computes. Plain data only, see kernels.h.
//
// Pixels are numbered along a grid in which neighbouring maps share the zeros around them: rows of `pitch` positions,
// `rows` rows an image, images one after the other. What the output at position p multiplies at tap (ky, kx) is the
// source at p + ky * pitch + kx; a position that is no pixel holds 0. Sums run over the grid in steps of 32 positions,
// the depth of a tile.
//
// A planar source has few channels and strides of 2 along its height: a "channel block" is a channel, a position two of
// its rows, in 8 of a tile's 16 columns each, one for each tap along the width; what is left are taps along the height,
// two by two.
#pragma once
#include <cstdint>

namespace googlenet::cpu {

/** A slice [n][blocks][h][w][16] of bf16, or planes [n][c][h][w]; strides in elements. */
struct AmxMaps {
  int64_t image, plane;
  int h, w;
  int top, left;  // the first pixel's row and column in the grid
};

struct AmxGradientShape {
  AmxMaps src, diff_dst;
  int images;
  int pitch, rows;
  int taps_h, taps_w;
  int inputs, outputs;  // channel blocks of src, diff_dst
  int64_t steps;        // of the whole batch
  bool planar;
  int stride_w;  // of a planar source; 1 otherwise
};

/** A share of the work: ranges of channel blocks of src and diff_dst, of taps (ky * taps_w + kx; planar: ky / 2), of
 *  steps. */
struct AmxGradientPart {
  int input[2], output[2], tap[2];
  int64_t step[2];
};

/** Gradients as tiles [output block][input block][tap] of 16 outputs x 16 inputs, and the bias' [output]. */
struct AmxGradientSums {
  float *tiles, *bias;
};

namespace avx512_bf16 {
/** Bytes of scratch for a part, 64-byte aligned. */
int64_t amx_gradient_scratch(const AmxGradientShape&, const AmxGradientPart&);
/** The part's gradient: its tiles are overwritten. With `weights`, (outputs * 16, inputs * 16, taps_h, taps_w), they are
 *  its own scratch, and what is sought goes there; `bias` may be null. */
void amx_gradient(const AmxGradientShape&, const AmxGradientPart&, const uint16_t* src, const uint16_t* diff_dst,
                  const AmxGradientSums&, float* weights, float* bias, void* scratch);
/** Adds up what `count` ranges of steps came to, `tiles` floats apart, in their order: output blocks [first, last). */
void amx_gradient_add(const AmxGradientShape&, const AmxGradientSums*, int count, int first, int last, float* weights,
                      float* bias);
}  // namespace avx512_bf16

}  // namespace googlenet::cpu
