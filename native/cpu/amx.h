// Convolutions in bf16 by AMX, the matrix unit of Intel's server processors since 2023: 16 pixels by 16 outputs by 32
// inputs an instruction, about five times what their vector units do.
#pragma once
#include "cpu/kernel.h"

namespace googlenet::cpu {

/** The processor has AMX for bf16, the system lets this process use it (asked once), and neither GOOGLENET_MAX_ISA nor
 *  ONEDNN_MAX_CPU_ISA names less. */
bool amx_available();
/** The same, and AMX multiplies bytes too. */
bool amx_int8_available();

/** A kernel for the step, or null where it is not a convolution in bf16 that AMX is used for. */
Kernel make_amx(gn_device& device, const gn_step& step);

bool amx_can(const gn_step& step);                             // forward, and backward data
Kernel make_amx_data(gn_device& device, const gn_step& step);  // the step must be one that amx_can() compute

}  // namespace googlenet::cpu
