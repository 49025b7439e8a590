// The vectorised loops, as plain functions behind one table per instruction set. Every function works on a range of
// items and knows no threads. B floats of neighbouring channels are one vector; a plane is [h][w][B] of one image and
// one channel block. Plain data only: this header is compiled for several instruction sets, so it holds no code that
// a linker could merge.
#pragma once
#include <cstdint>

#include "backend/backend.h"

namespace googlenet::cpu {

/** The upper half of an f32. */
struct Bf16 {
  uint16_t bits;
};

/** Pooling of one plane. Window (oy, ox) covers rows oy * stride_h - pad_h + [0, kernel_h), clipped to the plane. */
struct PoolShape {
  int h, w, out_h, out_w;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  const int *row_first, *row_last;        // (h): windows that cover row y are oy in [row_first[y], row_last[y])
  const int *column_first, *column_last;  // (w)
  const float* inverse_area;              // (out_h, out_w): average pooling's factor of each window
};

struct LrnShape {
  int size;        // window, odd
  int blocks;      // ACROSS: channel blocks of the view
  int64_t plane;   // ACROSS: elements from block to block
  int h, w;        // WITHIN
  float k, scale;  // s = k + scale * sum x^2, with scale = alpha / size^(1 or 2)
  float beta;
  int tile;  // ACROSS: pixels worked on together
};

/** See gn_update. Arrays that the rule does not use, and an average that is not wanted, are null. */
struct UpdateArrays {
  float *parameters, *momentum, *squares, *average;
  const float* gradients;
};
struct UpdateFactors {
  float rate, momentum, decay, scale, squares_decay, epsilon, average_share;
};

/** A tile of a plane's outputs: its image and its first row and column. */
struct WinogradTile {
  int32_t image;
  int16_t y, x;
};

/** Tiles worked on together, by class: 2 * (lower than a full tile) + (narrower). Where classes differ in points, a point
 *  has fewer rows than the block has tiles: tile t of class c is row t - skip[c][point]. Point: row of points * points
 *  along one axis + column. */
struct WinogradBlock {
  const WinogradTile* tiles;
  int32_t first[5];  // class c is tiles [first[c], first[c + 1])
  int32_t rows[64];
  int32_t skip[4][64];
};

/** A convolution of stride 1 as winograd-*.cc see it. V: transformed tiles [point][row][inputs]; U: transformed weights
 *  [chunk][point][inputs][chunk's outputs]; M: their products for one chunk [point][row][chunk's outputs]. Backward
 *  weights: Z: transformed gradients of the outputs [point][row][outputs]; dU [point][inputs][outputs]. */
struct WinogradShape {
  int taps;                              // of the window along one axis, 3 or 5
  int h, w, out_h, out_w, pad_h, pad_w;  // planes read and written
  int tile_h[2], tile_w[2];              // outputs of a full tile and of the last one
  int inputs, outputs;                   // channels, multiples of B
  int64_t src_image, dst_image;          // floats from image to image
  int64_t v_point, m_point;              // floats from point to point (backward weights: m_point is Z's)
  bool relu;
};

/** Loops over activations and their gradients. A computed gradient is put into diff_src by += or =, then zeroed where
 *  mask <= 0 (null: no mask). */
template <class Element>
struct ActivationKernels {
  const char* name;  // "own:avx512"
  int block;

  // Rows [first, last) of the output plane. `index` receives the window index of each maximum (255: empty window).
  void (*max_forward)(const PoolShape&, const Element* src, Element* dst, int first, int last);
  void (*max_forward_index)(const PoolShape&, const Element* src, Element* dst, uint8_t* index, int first, int last);
  void (*average_forward)(const PoolShape&, const Element* src, Element* dst, int first, int last);
  // Rows [first, last) of the diff_src plane, each element gathered from the windows that cover it.
  void (*max_backward)(const PoolShape&, const Element* diff_dst, const uint8_t* index, Element* diff_src,
                       const Element* mask, bool accumulate, int first, int last);
  void (*average_backward)(const PoolShape&, const Element* diff_dst, Element* diff_src, const Element* mask,
                           bool accumulate, int first, int last);

  // `pixels` neighbouring pixels of all blocks. `scratch`: lrn_scratch floats.
  int64_t (*lrn_scratch)(const LrnShape&);
  void (*lrn_across_forward)(const LrnShape&, const Element* src, Element* dst, int64_t pixels, float* scratch);
  void (*lrn_across_backward)(const LrnShape&, const Element* src, const Element* diff_dst, Element* diff_src,
                              const Element* mask, bool accumulate, int64_t pixels, float* scratch);
  // One plane; scratch: two planes more.
  void (*lrn_within_forward)(const LrnShape&, const Element* src, Element* dst, int first, int last);
  void (*lrn_within_backward)(const LrnShape&, const Element* src, const Element* diff_dst, Element* diff_src,
                              const Element* mask, bool accumulate, float* scratch);

  // diff += other (null: nothing to add), then masked. count: a multiple of B.
  void (*combine)(Element* diff, const Element* other, const Element* mask, int64_t count);

  /** Floats to elements: rounded to the nearest, ties to even. */
  void (*narrow)(const float* from, Element* to, int64_t count);
};

/** Pooling of u8, [h][w][16] whatever the device's block. */
struct ByteKernels {
  void (*max_forward)(const PoolShape&, const uint8_t* src, uint8_t* dst, int first, int last);
  /** scales (16): what 1 stands for in each channel. */
  void (*average_forward)(const PoolShape&, const float* scales, const uint8_t* src, Bf16* dst, int first, int last);
};

/** Loops over f32. */
struct Kernels {
  const char* name;  // "own:avx512"

  void (*update)(gn_rule rule, const UpdateArrays&, int64_t count, const UpdateFactors&);
  void (*scale_add)(float* dst, const float* src, int64_t count, float keep, float scale);
  /** f64, the same bits on every instruction set. */
  double (*square_sum)(const float* values, int64_t count);

  /** Channels of a chunk of outputs: the width of winograd_output's products. The last chunk may be narrower. */
  int winograd_chunk;
  /** Pixels of output in the batch below which direct convolution is faster, by direction (winograd.cc). */
  const int* winograd_fewest_pixels;
  /** Transforms weights (outputs, inputs, taps, taps), or for `backward` (inputs, outputs, ...) rotated by 180 degrees, into
   *  U. Items [first, last) of chunk * inputs + input. */
  void (*winograd_weights)(int taps, int inputs, int outputs, bool backward, const float* weights, float* u,
                           int64_t first, int64_t last);
  /** Transforms tiles of src into V. Items [first, last) of tile * channel blocks + block. */
  void (*winograd_input)(const WinogradShape&, const WinogradBlock&, const float* src, float* v, int64_t first,
                         int64_t last);
  /** Multiplies and writes chunks [first, last) of the block's outputs; bias may be null. */
  void (*winograd_output)(const WinogradShape&, const WinogradBlock&, const float* v, const float* u, const float* bias,
                          float* dst, float* m, int first, int last);
  /** Transforms tiles of diff_dst into Z. Items [first, last) of tile * channel blocks + block. `sums` [tile][outputs]
   *  receives each tile's sum. */
  void (*winograd_diff)(const WinogradShape&, const WinogradBlock&, const float* diff_dst, float* z, float* sums,
                        int64_t first, int64_t last);
  /** dU += V' Z (`begin`: =) at one point, for chunks [first, last) of the outputs. */
  void (*winograd_gradient)(const WinogradShape&, const WinogradBlock&, int point, const float* v, const float* z,
                            float* du, bool begin, int first, int last);
  /** The gradient of weights (outputs, inputs, taps, taps) from dU. Items [first, last) of output block * inputs + input. */
  void (*winograd_diff_weights)(int taps, int inputs, int outputs, const float* du, float* gradient, int64_t first,
                                int64_t last);

  /** One row of interleaved R, G, B bytes to a row each of B, G, R minus mean (B, G, R). */
  void (*split_rgb)(const uint8_t* rgb, int64_t pixels, const float mean[3], float* b, float* g, float* r);
};

#if defined(__x86_64__)
const Kernels& kernels_avx512();
const Kernels& kernels_avx2();
const ActivationKernels<Bf16>& activations_avx512_bf16();
const ActivationKernels<Bf16>& activations_avx512_vnni();
const ActivationKernels<Bf16>& activations_avx2_bf16();
const ByteKernels& bytes_avx512_bf16();
const ByteKernels& bytes_avx512_vnni();
const ByteKernels& bytes_avx2_bf16();
const ActivationKernels<float>& activations_avx512();
const ActivationKernels<float>& activations_avx2();
#endif
const Kernels& kernels_portable();
const ActivationKernels<float>& activations_portable();
const ActivationKernels<Bf16>& activations_portable_bf16();
const ByteKernels& bytes_portable_bf16();

}  // namespace googlenet::cpu
