// What surrounds cuDNN's convolutions: our own passes over channels-last tensors.
#pragma once
#include "cuda/launch.h"

namespace googlenet::cuda {

/** to = from, `span` channels of each pixel. */
void copy(const gn_device& device, View to, View from, int64_t pixels, int span);

/** dst = relu(from + bias): bias may be null; from may be dst. */
void add_bias(const gn_device& device, View dst, View from, const float* bias, bool relu, int64_t pixels, int span);

/** diff_bias = the sum of diff_dst over pixels. scratch: bias_scratch bytes. */
int64_t bias_scratch(int64_t pixels, int span);
void bias_gradient(const gn_device& device, View diff_dst, float* diff_bias, int64_t pixels, int span, void* scratch);

/** Grouped weights (rows, kh, kw, columns) are held dense; zeroes what no group has. */
void clear_off_blocks(const gn_device& device, float* weights, int64_t inner, int columns, int outputs, int inputs,
                      int groups);

}  // namespace googlenet::cuda
