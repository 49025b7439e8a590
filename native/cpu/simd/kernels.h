// The vectorised loops, as plain functions behind one table per instruction set. Every function works on a range of
// items and knows no threads. B floats of neighbouring channels are one vector; a plane is [h][w][B] of one image and
// one channel block. Plain data only: this header is compiled for several instruction sets, so it holds no code that
// a linker could merge.
#pragma once
#include <cstdint>

#include "backend/backend.h"

namespace googlenet::cpu {

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
  int64_t plane;   // ACROSS: floats from block to block
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

/** A computed gradient is put into diff_src by += or =, then zeroed where mask <= 0 (null: no mask). */
struct Kernels {
  const char* name;  // "own:avx512"
  int block;

  // Rows [first, last) of the output plane. `index` receives the window index of each maximum (255: empty window).
  void (*max_forward)(const PoolShape&, const float* src, float* dst, int first, int last);
  void (*max_forward_index)(const PoolShape&, const float* src, float* dst, uint8_t* index, int first, int last);
  void (*average_forward)(const PoolShape&, const float* src, float* dst, int first, int last);
  // Rows [first, last) of the diff_src plane, each element gathered from the windows that cover it.
  void (*max_backward)(const PoolShape&, const float* diff_dst, const uint8_t* index, float* diff_src,
                       const float* mask, bool accumulate, int first, int last);
  void (*average_backward)(const PoolShape&, const float* diff_dst, float* diff_src, const float* mask, bool accumulate,
                           int first, int last);

  // `pixels` neighbouring pixels of all blocks. `scratch`: lrn_scratch floats.
  int64_t (*lrn_scratch)(const LrnShape&);
  void (*lrn_across_forward)(const LrnShape&, const float* src, float* dst, int64_t pixels, float* scratch);
  void (*lrn_across_backward)(const LrnShape&, const float* src, const float* diff_dst, float* diff_src,
                              const float* mask, bool accumulate, int64_t pixels, float* scratch);
  // One plane; scratch: two planes more.
  void (*lrn_within_forward)(const LrnShape&, const float* src, float* dst, int first, int last);
  void (*lrn_within_backward)(const LrnShape&, const float* src, const float* diff_dst, float* diff_src,
                              const float* mask, bool accumulate, float* scratch);

  // diff += other (null: nothing to add), then masked. count: a multiple of B.
  void (*combine)(float* diff, const float* other, const float* mask, int64_t count);

  void (*update)(gn_rule rule, const UpdateArrays&, int64_t count, const UpdateFactors&);
  void (*scale_add)(float* dst, const float* src, int64_t count, float keep, float scale);
  /** f64, the same bits on every instruction set. */
  double (*square_sum)(const float* values, int64_t count);

  /** One row of interleaved R, G, B bytes to a row each of B, G, R minus mean (B, G, R). */
  void (*split_rgb)(const uint8_t* rgb, int64_t pixels, const float mean[3], float* b, float* g, float* r);
};

#if defined(__x86_64__)
const Kernels& kernels_avx512();
const Kernels& kernels_avx2();
#endif
const Kernels& kernels_portable();

}  // namespace googlenet::cpu
