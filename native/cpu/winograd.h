// Convolutions of stride 1 by Winograd's minimal filtering (Lavin and Gray 2015): F(4x4, 3x3) takes 36 products where
// the window takes 144, F(4x4, 5x5) 64 instead of 400. f32 throughout; about four times the rounding error of direct
// convolution.
#pragma once
#include "cpu/kernel.h"

namespace googlenet::cpu {

/** A kernel for the step, or null where Winograd cannot compute it or direct convolution measured faster. */
Kernel make_winograd(gn_device& device, const gn_step& step);

/** Whether there is a choice: Winograd can compute the step, and the device may. */
bool winograd_may(const gn_device& device, const gn_step& step);

/** The kernels themselves, whatever is faster. */
Kernel make_winograd_anyway(gn_device& device, const gn_step& step);
Kernel make_winograd_data(gn_device& device, const gn_step& step);  // forward, and backward data
Kernel make_winograd_gradient(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
