// Convolution of stride 1, backward weights, in bf16 by AMX: what one thread computes. Plain data only, see kernels.h.
//
// Pixels are numbered along a grid in which neighbouring maps share the zeros around them: rows of `pitch` positions,
// `rows` rows an image, images one after the other. What the output at position p multiplies at tap (ky, kx) is the
// source at p + ky * pitch + kx; a position that is no pixel holds 0. Sums run over the grid in steps of 32 positions,
// the depth of a tile.
#pragma once
#include <cstdint>

namespace googlenet::cpu {

/** A slice [n][blocks][h][w][16] of bf16; strides in elements. */
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
};

/** A share of the gradient: ranges of channel blocks of src and diff_dst and of taps, ky * taps_w + kx. */
struct AmxGradientPart {
  int input[2], output[2], tap[2];
};

namespace avx512_bf16 {
/** Bytes of scratch for a part, 64-byte aligned. */
int64_t amx_gradient_scratch(const AmxGradientShape&, const AmxGradientPart&);
/** The part of weights (outputs * 16, inputs * 16, taps_h, taps_w), overwritten; and of the bias where it is not null. */
void amx_gradient(const AmxGradientShape&, const AmxGradientPart&, const uint16_t* src, const uint16_t* diff_dst,
                  float* weights, float* bias, void* scratch);
}  // namespace avx512_bf16

}  // namespace googlenet::cpu
