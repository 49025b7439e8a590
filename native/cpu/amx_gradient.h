// Backward weights of convolutions by AMX, where values are bf16.
#pragma once
#include "cpu/kernel.h"

namespace googlenet::cpu {

/** A kernel for the step, or null: it is another convolution, or the processor has no AMX. */
Kernel make_amx_gradient(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
