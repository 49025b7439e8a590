// Convolutions over few channels, as the network's first one. Engines for tensor cores multiply 64 or 128 channels at a
// time: of the 8 that a pixel of the input has (3 and padding), 7 x 7 taps make 49 products that are almost empty. Folded,
// a row of taps and the rows that a stride steps over are channels: of the published conv1, 4 taps of 2 x 7 x 4.
//   x  (n, h, w, span)     to (n, height, width, channels)    v[n, r, q, (d · kernel_w + s) · 4 + c] =
//                                                x[n, r · stride_h + d - lead - pad_h, q · stride_w + s - pad_w, c]
//   w  (o, kh, kw, span)   to (o, taps, 1, channels)          in the same way, with zeros where the window has no tap
//   and a window of `taps` x 1 passes over v at stride 1 without padding.
#pragma once
#include "cuda/conv_kernels.h"

namespace googlenet::cuda {

struct Folding {
  static constexpr int kDepth = 4;  // channels of a tap: the first of the source's
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  int lead;  // rows before the window, so that it begins at a multiple of the stride
  int taps;
  int channels;       // of a folded pixel, whole blocks
  int height, width;  // folded

  /** Whether a step gains by it and this can do it: forward and for weights. */
  static bool fits(const gn_step& step);
  explicit Folding(const gn_step& step);
  int64_t pixels(int64_t n) const { return n * height * width; }
  int64_t weights(int64_t outputs) const { return outputs * taps * channels; }
};

/** `to` is dense, (n, height, width, channels). */
void fold_source(const gn_device& device, const Folding& folding, void* to, Pixels from, const gn_tensor& source);
/** Both of one type; from: (outputs, kernel_h, kernel_w, span). */
void fold_weights(const gn_device& device, const Folding& folding, Pixels to, Pixels from, int outputs, int span);
/** f32, the other way round; channels that are not folded get 0. */
void unfold_weights(const gn_device& device, const Folding& folding, float* to, const float* from, int outputs,
                    int span);

/** Zeroes the channels that are not folded: in a network they are padding. */
void clear_unfolded(const gn_device& device, Pixels values, int64_t pixels, int span);

}  // namespace googlenet::cuda
