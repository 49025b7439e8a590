// Convolutions by AMX, the matrix unit of Intel's server processors since 2023: 16 pixels by 16 outputs by 32 inputs in
// bf16 (64 in bytes) an instruction, five to ten times what their vector units do. Decision 0014. Without it int8 by
// VNNI, 16 outputs by 4 inputs an instruction.
#pragma once
#include "cpu/kernel.h"

namespace googlenet::cpu {

/** The processor has AMX for bf16, the system lets this process use it (asked once), and neither GOOGLENET_MAX_ISA nor
 *  ONEDNN_MAX_CPU_ISA names less. */
bool amx_available();
/** The loops for convolutions of a precision, or null where they are not used: by AMX where the processor has it, else in
 *  int8 by VNNI. */
const AmxKernels* amx_kernels(gn_precision precision);

/** A kernel for the step, or null where it is no convolution or fully connected layer that this is used for. */
Kernel make_amx(gn_device& device, const gn_step& step);

/** The kernels themselves, on a processor that can, or null. Forward, and backward data; forward of a fully connected
 *  layer, a window as large as its source; backward weights. */
Kernel make_amx_data(gn_device& device, const gn_step& step);
Kernel make_amx_linear(gn_device& device, const gn_step& step);
Kernel make_amx_gradient(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
