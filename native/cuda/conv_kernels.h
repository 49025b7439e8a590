// What surrounds cuDNN's convolutions: our own passes over channels-last tensors.
#pragma once
#include "cuda/launch.h"

namespace googlenet::cuda {

/** A View whose element type is known when it runs. */
struct Pixels {
  void* data = nullptr;
  int pitch = 0;  // elements from pixel to pixel
  gn_type type = GN_F32;
  template <class T>
  View<T> view() const {
    return {static_cast<T*>(data), pitch};
  }
};

inline Pixels bind(const gn_tensor& t, const gn_bindings& b) {
  char* const start = static_cast<char*>(b.arenas[t.arena]) + t.offset;
  return {start + t.channel * gn_bytes_of(t.type), t.channels, t.type};
}

/** to = from, `span` channels of each pixel: whole blocks, here and below. */
void copy(const gn_device& device, Pixels to, Pixels from, int64_t pixels, int span);

/** dst = relu(from + bias): bias may be null; from may be dst. */
void add_bias(const gn_device& device, Pixels dst, Pixels from, const float* bias, bool relu, int64_t pixels, int span);

/** diff_bias = the sum of diff_dst over pixels. scratch: bias_scratch bytes. */
int64_t bias_scratch(int64_t pixels, int span);
void bias_gradient(const gn_device& device, Pixels diff_dst, float* diff_bias, int64_t pixels, int span, void* scratch);

/** Grouped weights (rows, kh, kw, columns) are held dense; zeroes what no group has. */
void clear_off_blocks(const gn_device& device, float* weights, int64_t inner, int columns, int outputs, int inputs,
                      int groups);

}  // namespace googlenet::cuda
