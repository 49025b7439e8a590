// Convolutions by tiles: 16 pixels by 16 outputs by 32 inputs in bf16 (64 in bytes) an instruction with AMX, the matrix
// unit of Intel's server processors since 2023, five to ten times what their vector units do: decision 0014. Without it
// int8 by vectors: VNNI's dot products of bytes, or products of s16.
#pragma once
#include "cpu/kernel.h"

namespace googlenet::cpu {

/** The loops for convolutions of a precision, or null where they are not used: f32, and bf16 without AMX. */
const TileKernels* tile_kernels(gn_precision precision);

/** A kernel for the step, or null where it is no convolution or fully connected layer that this is used for. */
Kernel make_tiles(gn_device& device, const gn_step& step);

/** The kernels themselves, or null. Forward, and backward data; forward of a fully connected layer, a window as large
 *  as its source; backward weights. */
Kernel make_tiles_data(gn_device& device, const gn_step& step);
Kernel make_tiles_linear(gn_device& device, const gn_step& step);
Kernel make_amx_gradient(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
