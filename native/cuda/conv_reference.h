// A direct convolution to hold candidates against: a sample of what a step computes, each element summed in f64 by one
// thread, and a sample of what it must leave alone.
#pragma once
#include "cuda/conv_kernels.h"

namespace googlenet::cuda {

/** Fills `count` elements with noise in [-1, 1), a function of `seed` and the index, rounded to their type; what is lower
 *  than `lowest` becomes that. */
void fill_noise(const gn_device& device, void* values, gn_type type, int64_t count, uint32_t seed, float lowest = -1);

/**
 * The largest error of a step that has run: 1 = all that rounding may do, NaN where one appears. Each element's error is
 * seen against `tolerance` times the sum of the magnitudes that it is made of. What the step writes to held the noise of
 * `seed` before, whole buffers of it. No groups.
 */
double convolution_error(gn_device& device, const gn_step& step, const gn_bindings& bindings, uint32_t seed,
                         double tolerance);

}  // namespace googlenet::cuda
